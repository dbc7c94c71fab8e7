"""In words and bytes: all that somebody needs who takes part in another language."""

from __future__ import annotations

import json

from sagas_framework.transport.specimen import in_broker
from sagas_framework.transport.wire import OutgoingMessage
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.correlation import HEADER

_TEXT = """\
## On the wire

Every message is a Celery task, protocol 2, in JSON. Nothing of Celery is needed to speak it: a body, and headers.

The **body** is `[[saga_id, payload], {{}}, embed]`: positional arguments, named ones (none), and an object whose four
fields are null. It is UTF-8, at most {most_bytes} bytes, nested at most {most_depth} deep, without NUL characters.
`payload` in this document is that whole body. Fields that a receiver does not know are ignored, so that senders can
move first; a declared field of another type is refused.

The **headers** need `task` (the message's name) and `id` (a UUID). `{header}` says which attempt of which step of which
saga is meant; a participant puts it into its reply as it came, without `reply_queue`, with `in_reply_to` (the
command's `id`) and, in a failure, `failure_kind`.

To **take part**: read a command; if its `{header}` names (orchestrator, saga, step) that you have done before, send the
answer that you gave then. Otherwise do it, and remember the answer in the same transaction. Then send the reply to the
queue that `{header}.reply_queue` names: task `<command>.response.success` with the response, or
`<command>.response.failure` with `{{"type", "message", "module", "traceback"}}`; its `parent_id` is the command's
`id`. Only then acknowledge the command. A command may come more than once, and after the one that undoes it.

### On RabbitMQ

Published to the default exchange with the queue's name as routing key, `mandatory`, to a durable queue. Properties:
`content_type: {content_type}`, `content_encoding: {content_encoding}`, `delivery_mode: {delivery_mode}`,
`correlation_id`: the id. Headers, as a table:

```json
{headers}
```

The body, byte for byte:

```json
{body}
```

### On Redis

`LPUSH` to the list `{queue}`; its readers `BRPOP`. An element is JSON: the same body in base64, the same headers.
`delivery_tag` is any text that no other message has. Byte for byte:

```json
{element}
```
"""


def described_wire(example: OutgoingMessage) -> str:
    found = in_broker(example)
    return _TEXT.format(
        most_bytes=codec.MAX_BODY_BYTES,
        most_depth=codec.MAX_DEPTH,
        header=HEADER,
        content_type=found["content-type"],
        content_encoding=found["content-encoding"],
        delivery_mode=found["properties"]["delivery_mode"],
        headers=json.dumps(example.headers(), indent=2),
        body=example.body,
        queue=example.queue,
        element=json.dumps(found),
    )
