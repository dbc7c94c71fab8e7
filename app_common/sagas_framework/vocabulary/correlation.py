"""What travels beside a payload: one dictionary under one key of the message's headers."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Any

from sagas_framework.vocabulary import json_text
from sagas_framework.vocabulary.command import FailureKind
from sagas_framework.vocabulary.identity import Direction
from sagas_framework.vocabulary.text import is_storable

HEADER = "sagas"
MAX_ATTEMPT = 2**31 - 1  # as the databases hold it
_MAX_TEXT = 255
_MAX_NAME = 120


@dataclass(frozen=True)
class Correlation:
    """Which attempt of which step of which saga a message belongs to."""

    orchestrator: str
    """Who runs the saga."""
    saga: str
    """The saga's id."""
    step: str
    direction: Direction
    attempt: int
    """Counted from 1; another attempt is another message. Asked again, the same attempt is the same message."""
    reply_queue: str | None = None
    """Of a command: where its answer is awaited. Absent: nobody waits for one."""
    in_reply_to: str | None = None
    """Of a reply: the id of the command that it answers."""
    failure_kind: FailureKind | None = None
    """Of a failure."""
    traceparent: str | None = None
    """As W3C Trace Context writes it."""
    again: bool = False
    """Asked again (or the answer to that): an earlier copy may have killed its worker."""
    unconditional: bool = False
    """Of a compensation whose action was never a command to the same queue: its participant cannot know whether there
    is something to undo."""

    def answering(self, message_id: str, failure_kind: FailureKind | None) -> Correlation:
        """What the reply to such a command carries."""
        return replace(self, reply_queue=None, in_reply_to=message_id, failure_kind=failure_kind)

    def to_header(self) -> dict[str, Any]:
        header: dict[str, Any] = {
            "orchestrator": self.orchestrator,
            "saga": self.saga,
            "step": self.step,
            "direction": self.direction.value,
            "attempt": self.attempt,
        }
        for name in ("reply_queue", "in_reply_to", "failure_kind", "traceparent"):
            value = getattr(self, name)
            if value is not None:
                header[name] = str(value)
        for name in ("again", "unconditional"):
            if getattr(self, name):
                header[name] = True
        return header

    @classmethod
    def from_headers(cls, headers: Any) -> Correlation | None:
        """What a message says of itself, or None when it carries no (readable) header of ours."""
        header = headers.get(HEADER) if isinstance(headers, dict) else None
        if not isinstance(header, dict):
            return None
        try:
            kind = header.get("failure_kind")
            return cls(
                orchestrator=_text(header["orchestrator"], _MAX_NAME),
                saga=_text(header["saga"], _MAX_NAME),
                step=_text(header["step"]),
                direction=Direction(header["direction"]),
                attempt=_attempt(header["attempt"]),
                reply_queue=_optional_text(header.get("reply_queue")),
                in_reply_to=_optional_text(header.get("in_reply_to")),
                failure_kind=FailureKind(kind) if kind is not None else None,
                traceparent=_optional_text(header.get("traceparent")),
                again=header.get("again") is True,
                unconditional=header.get("unconditional") is True,
            )
        except (KeyError, TypeError, ValueError):
            return None


def place_of_stranger(task: str, message_id: str, saga_id: Any) -> Correlation:
    """Where a command belongs that knows nothing of us (saga-framework sent it, say).

    Its Celery id is all that tells a duplicate from a new command.
    """
    return Correlation("", str(saga_id)[:120], f"{task}:{message_id}"[:_MAX_TEXT], Direction.ACTION, 1)


def token_of(orchestrator: str, saga: str, step: str) -> str:
    """A step in one opaque word, for those who answer it later."""
    named = json_text.dumps([orchestrator, saga, step])
    return base64.urlsafe_b64encode(named.encode()).decode().rstrip("=")


def step_of_token(token: str) -> tuple[str, str, str] | None:
    """(orchestrator, saga, step), or None: it is no such token."""
    try:
        named = json_text.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
        orchestrator, saga, step = (str(name) for name in named)
    except (TypeError, ValueError):
        return None
    return (orchestrator, saga, step) if is_storable(orchestrator + saga + step) else None


def _text(value: Any, limit: int = _MAX_TEXT) -> str:
    if not isinstance(value, str) or not value or len(value) > limit or not is_storable(value):
        raise ValueError("not a short text")
    return value


def _attempt(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_ATTEMPT:
        raise ValueError("not the number of an attempt")
    return value


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)
