"""In words and bytes: all that somebody needs who takes part in another language."""

from __future__ import annotations

import json

from sagas_framework.transport.specimen import in_broker
from sagas_framework.transport.wire import OutgoingMessage
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.correlation import HEADER
from sagas_framework.vocabulary.names import RECEIPTS_TASK

_TEXT = """\
## On the wire

Every message is a Celery task, protocol 2, in JSON. Nothing of Celery is needed to speak it: a body, and headers.

The **body** is `[[saga_id, payload], {{}}, embed]`: positional arguments, named ones (none), and an object whose four
fields are null. It is UTF-8, at most {most_bytes} bytes, nested at most {most_depth} deep, without NUL characters.
`payload` in this document is that whole body. Fields that a receiver does not know are ignored, so that senders can
move first; a declared field of another type is refused.

The **headers** need `task` (the message's name) and `id` (a UUID, the same whenever the message is sent again); a
reply needs `parent_id`, too: the `id` of the command that it answers. `{header}` says which attempt of which step of
which saga is meant. A command without it is done once for each `id`, and is answered only where the service has a
reply queue of its own. A participant puts it into its reply as it came, without `reply_queue`, with `in_reply_to`
(the command's `id`) and, in a failure, `failure_kind`: `refused` is a decision, `transient` wants to be asked again,
`error` is a fault.

To **take part**: read a command; `(orchestrator, saga, step)` in its `{header}` and its `direction` name what is to
be done. What you have done before, in whatever attempt, you answer as you did then, unless you have undone it since:
then refuse it. What has failed in this or a later `attempt` you answer as you did then, too. Otherwise do it, and
remember the answer in the same transaction. The direction `compensation` undoes what the action of the same step has
done. Where that never succeeded, nothing is to be undone (unless the header says `unconditional`): answer with
success, and refuse the action from then on, as it may be late. Send the reply to the queue that
`{header}.reply_queue` names, if it names one: task `<command>.response.success` with the response, or
`<command>.response.failure` with `{{"type", "message", "module", "traceback"}}`. Only then acknowledge the command.

"""
_EVENTS = """\
## Events on the wire

An event is a Celery task, protocol 2, in JSON. Nothing of Celery is needed to speak it: a body, and headers.

The **body** is `[[key, payload], {{}}, embed]`: positional arguments (what the event is about, as text, and the event),
named ones (none), and an object whose four fields are null. It is UTF-8, at most {most_bytes} bytes, nested at most
{most_depth} deep, without NUL characters. `payload` in this document is that whole body. Fields that a subscriber does
not know are ignored, so that publishers can move first; a declared field of another type is not handled.

The **headers** need `task` (the event's name), `id` (a UUID) and `{header}`: the `source` that publishes it, the
`aggregate` that it is about (`<name of its key>=<key>`) and a `number`. Each subscriber's queue gets a message of its
own. The numbers of one source, aggregate and subscriber begin at 1 and have no gap; each event has one id, the same for
all subscribers and whenever it is sent again.

To **publish**: write the event down in the transaction in which it happens, with the next number for each subscriber.
Send it, and again from time to time with `{header}.again` true, until that subscriber's receipt names its id.

To **subscribe**: what has a number that you have handled is a duplicate. Handle the next number, in one transaction
with the mark that you have. Store what comes too early, and handle it when it is its turn. For all of these send a
receipt: the task `{receipts}`, with the headers `task` and `id`, to the queue `<source>.receipts`. One may be for many
events. Only then acknowledge them. Its body:

```json
{receipt}
```

"""
_BYTES = """\
### On RabbitMQ

Published to the default exchange with the queue's name as routing key, `mandatory`. Queues are durable, neither
exclusive nor auto-deleted; whoever sends to one, or reads from it, declares it so, with the `arguments` that bindings
of this document show, if any. Properties: `content_type: {content_type}`, `content_encoding: {content_encoding}`,
`delivery_mode: {delivery_mode}`, `correlation_id`: the id. Headers, as a table:

```json
{headers}
```

The body, byte for byte:

```json
{body}
```

### On Redis

`LPUSH` to the list `{queue}`; its readers `BRPOP`, and what one of them loses is {lost} again. An element is JSON:
the same body in base64, the same headers. `delivery_tag` is any text that no other message has. Byte for byte:

```json
{element}
```
"""


def described_wire(example: OutgoingMessage) -> str:
    """Of commands and their replies."""
    return _TEXT.format(**_limits()) + _bytes(example, "asked for")


def described_events(example: OutgoingMessage, receipt: OutgoingMessage) -> str:
    return _EVENTS.format(**_limits(), receipts=RECEIPTS_TASK, receipt=receipt.body) + _bytes(example, "sent")


def _limits() -> dict[str, object]:
    return {"most_bytes": codec.MAX_BODY_BYTES, "most_depth": codec.MAX_DEPTH, "header": HEADER}


def _bytes(example: OutgoingMessage, lost: str) -> str:
    """`lost`: what becomes of a message that a reader loses."""
    found = in_broker(example)
    return _BYTES.format(
        content_type=found["content-type"],
        content_encoding=found["content-encoding"],
        delivery_mode=found["properties"]["delivery_mode"],
        headers=json.dumps(example.headers(), indent=2),
        body=example.body,
        queue=example.queue,
        lost=lost,
        element=json.dumps(found),
    )
