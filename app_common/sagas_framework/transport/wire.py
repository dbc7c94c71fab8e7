"""Messages as they travel: ordinary Celery tasks, protocol 2, JSON; built by hand because that is cheap."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sagas_framework.vocabulary import json_text
from sagas_framework.vocabulary.codec import MAX_BODY_BYTES, MAX_DEPTH, too_deep
from sagas_framework.vocabulary.command import AnyCommand, Failure
from sagas_framework.vocabulary.correlation import HEADER, Correlation
from sagas_framework.vocabulary.event import AnyEvent
from sagas_framework.vocabulary.identity import new_message_id, reply_id
from sagas_framework.vocabulary.names import RECEIPTS_TASK, failure_task_name, success_task_name
from sagas_framework.vocabulary.occurrence import EventHeader
from sagas_framework.vocabulary.text import holds_nul

_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


@dataclass(frozen=True)
class OutgoingMessage:
    """A task, encoded and ready to be published; also the form in which the outbox keeps it."""

    queue: str
    task: str
    id: str
    body: str
    parent_id: str | None
    correlation: dict[str, Any] | None

    def headers(self) -> dict[str, Any]:
        # What Celery's protocol 2 cannot do without. Everything else has a default, and each header is paid for four
        # times: written, read by the broker, written by it, read.
        headers: dict[str, Any] = {
            "lang": "py",
            "task": self.task,
            "id": self.id,
            "root_id": self.id,
            "parent_id": self.parent_id,
            "ignore_result": True,
        }
        if self.correlation is not None:
            headers[HEADER] = self.correlation
        return headers


@dataclass(frozen=True)
class RepeatedMessage(OutgoingMessage):
    """A message that somebody sent before and that is sent once more as it was."""

    original_headers: dict[str, Any]

    def headers(self) -> dict[str, Any]:
        return self.original_headers


def task_body(saga_id: Any, payload: Any) -> str:
    return json_text.dumps([[saga_id, payload], {}, _EMBED])


def command_message(command: AnyCommand, message_id: str, payload: Any, correlation: Correlation) -> OutgoingMessage:
    return OutgoingMessage(
        queue=command.queue,
        task=command.name,
        id=message_id,
        body=task_body(correlation.saga, payload),
        parent_id=None,
        correlation=correlation.to_header(),
    )


def event_message(
    event: AnyEvent, queue: str, message_id: str, key: str, payload: Any, header: EventHeader
) -> OutgoingMessage:
    """An event for one subscriber. Where a command says which saga it belongs to, an event says what it is about."""
    return OutgoingMessage(queue, event.name, message_id, task_body(key, payload), None, header.to_header())


def receipts_message(queue: str, subscriber: str, message_ids: Sequence[str]) -> OutgoingMessage:
    """Says that a subscriber has these events. `subscriber`: the queue that it takes events from."""
    body = task_body(subscriber, {"received": list(message_ids)})
    return OutgoingMessage(queue, RECEIPTS_TASK, new_message_id(), body, None, None)


def reply_message(
    task: str,
    queue: str,
    saga_id: Any,
    in_reply_to: str,
    answer: Any | Failure,
    asked: Correlation | None,
) -> OutgoingMessage:
    """The answer to a command whose header was `asked`. `parent_id` names it, also to those who do not know headers."""
    failure = answer if isinstance(answer, Failure) else None
    kind = None if failure is None else failure.kind
    return OutgoingMessage(
        queue=queue,
        task=success_task_name(task) if failure is None else failure_task_name(task),
        id=reply_id(in_reply_to, failure is None),
        body=task_body(saga_id, answer if failure is None else failure.to_wire()),
        parent_id=in_reply_to,
        correlation=None if asked is None else asked.answering(in_reply_to, kind).to_header(),
    )


_MAY_OVERFLOW = re.compile(r"\d[eE]\+?\d{3}|\d{300}")


def _holds_infinity(value: Any) -> bool:
    """What JSON writes as 1e999 is read as one, and no database takes it."""
    if isinstance(value, float):
        return not math.isfinite(value)
    within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_holds_infinity(inner) for inner in within)


class Unreadable(ValueError):
    """A message's body is not what a task of ours looks like; the text says why."""


def read_arguments(body: bytes | str, content_type: str | None) -> tuple[Any, Any]:
    """`(saga_id, payload)` of a message that came from outside; raises Unreadable."""
    if content_type != "application/json":
        raise Unreadable(f"its content type is {content_type!r}; only application/json is read")
    if len(body) > MAX_BODY_BYTES:
        raise Unreadable(f"its body is {len(body)} bytes long; at most {MAX_BODY_BYTES} are read")
    try:
        content = json_text.loads(body)
    except ValueError as error:
        if "recursion limit" in str(error):
            raise Unreadable("its payload is nested too deeply") from error
        raise Unreadable(f"its body is not JSON: {error}") from error
    arguments = content[0] if isinstance(content, list) and content else None
    if not isinstance(arguments, list) or len(arguments) != 2:
        raise Unreadable("its arguments are not [saga_id, payload]")
    if too_deep(arguments, MAX_DEPTH - 1):  # they stand in the body
        raise Unreadable("its payload is nested too deeply")
    text = body if isinstance(body, str) else body.decode()
    if _MAY_OVERFLOW.search(text) and _holds_infinity(content):
        raise Unreadable("it contains a number that is larger than any that a database holds")
    if holds_nul(text):
        raise Unreadable("it contains NUL characters, which no database text can hold")
    return arguments[0], arguments[1]
