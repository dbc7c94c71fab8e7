"""What an operator is shown of events and of what goes out, as plain values with a word on how each stands."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sagas_framework.events.outbound import NOBODY_SUBSCRIBES
from sagas_framework.operations.views import moment
from sagas_framework.operations.words import one_line, reason_of, times
from sagas_framework.transport.wire import OutgoingMessage, Unreadable, read_arguments
from sagas_framework.vocabulary.correlation import HEADER, Correlation
from sagas_framework.vocabulary.occurrence import EventHeader

_LONG_SECONDS = 12 * 3600


class Standing(StrEnum):
    """How an event of the inbox stands."""

    PARKED = "parked"
    TO_BE_TRIED = "to be tried"
    HELD_BACK = "held back"
    EARLY = "waits for an earlier one"


class Kind(StrEnum):
    """What goes out."""

    EVENT = "event"
    COMMAND = "command"
    OTHER = "message"  # nobody says that it has arrived: it goes once the broker has taken it


@dataclass(frozen=True, kw_only=True)
class WaitingEvent:
    """An event that a subscriber has and has not handled. `id` is the operator's number for it; `number` counts the
    events of its aggregate."""

    id: int
    event: str
    source: str
    aggregate: str
    number: int
    standing: Standing
    situation: str
    behind: int  # so many later ones are held back behind it
    held_by: int | None  # the id of that behind which it is held back
    next_number: int  # whose turn it is in its aggregate
    attempts: int
    failure: dict[str, Any] | None
    wake_at: datetime | None
    received_at: datetime
    message_id: str
    payload: Any

    @property
    def about(self) -> str:
        return f"{self.aggregate} #{self.number}"


@dataclass(frozen=True)
class HowFar:
    """How far a subscriber is with the events of one source about one thing. `handled`: the number of the last one."""

    source: str
    aggregate: str
    handled: int


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """Something in the outbox: it was not sent yet, or nobody has said yet that it has arrived."""

    id: int
    kind: Kind
    task: str
    queue: str | None  # None: nobody subscribes to it
    situation: str
    problem: str | None  # it is not sent any more, because of that
    times: int  # how often it was its turn: a queue that was crowded, or refused it, counts as well
    due_at: datetime | None
    created_at: datetime
    message_id: str
    source: str | None  # of an event
    aggregate: str | None
    number: int | None
    saga_id: str | None  # of a command
    step: str | None
    attempt: int | None
    payload: Any

    @property
    def about(self) -> str:
        """What it belongs to."""
        if self.kind is Kind.EVENT:
            return f"{self.aggregate} #{self.number}" if self.queue else str(self.aggregate)
        return f"saga {self.saga_id}" if self.saga_id else ""


# ---- the inbox -------------------------------------------------------------------------------------------------------


def waiting_event_of(row: Mapping[Any, Any]) -> WaitingEvent:
    standing = _standing(row)
    return WaitingEvent(
        id=row["id"],
        event=row["event"],
        source=row["source"],
        aggregate=row["aggregate"],
        number=row["number"],
        standing=standing,
        situation=_SITUATIONS[standing](row, time.time()),
        behind=row["behind"],
        held_by=row["head_id"] if standing is Standing.HELD_BACK else None,
        next_number=row["handled"] + 1,
        attempts=row["attempts"],
        failure=row["failure"],
        wake_at=moment(row["wake_at"]),
        received_at=datetime.fromtimestamp(row["received_at"], UTC),
        message_id=row["message_id"],
        payload=row["payload"],
    )


def _standing(row: Mapping[Any, Any]) -> Standing:
    if row["number"] > row["handled"] + 1:
        return Standing.EARLY if row["head_id"] is None else Standing.HELD_BACK
    return Standing.PARKED if row["parked"] else Standing.TO_BE_TRIED


def _parked(row: Mapping[Any, Any], now: float) -> str:
    return f"parked: {reason_of(row['failure']) or 'no reason was noted'}{_behind(row)}"


def _to_be_tried(row: Mapping[Any, Any], now: float) -> str:
    tries = row["attempts"]
    so_far = f" ({_many(tries, 'try', 'tries')} so far)" if tries else ""
    reason = reason_of(row["failure"])
    return f"{_when(row['wake_at'], now)}{so_far}{f': {reason}' if reason else ''}{_behind(row)}"


def _held_back(row: Mapping[Any, Any], now: float) -> str:
    which = "is parked" if row["head_parked"] else f"is {_when(row['head_wake_at'], now)}"
    return f"held back behind {row['head_id']} ({row['aggregate']} #{row['handled'] + 1}), which {which}"


def _early(row: Mapping[Any, Any], now: float) -> str:
    return f"waits for {row['aggregate']} #{row['handled'] + 1}, which has not come yet"


_SITUATIONS = {
    Standing.PARKED: _parked,
    Standing.TO_BE_TRIED: _to_be_tried,
    Standing.HELD_BACK: _held_back,
    Standing.EARLY: _early,
}


def _behind(row: Mapping[Any, Any]) -> str:
    return f"; {row['behind']} held back behind it" if row["behind"] else ""


def _when(wake_at: float | None, now: float) -> str:
    if wake_at is None or wake_at <= now:
        return "tried as soon as a worker runs"
    return f"tried again at {_clock(wake_at, now)}"


def _clock(at: float, now: float) -> str:
    shown = "%H:%M:%S" if abs(at - now) < _LONG_SECONDS else "%Y-%m-%d %H:%M:%S"
    return f"{datetime.fromtimestamp(at, UTC):{shown}} UTC"


# ---- the outbox ------------------------------------------------------------------------------------------------------


def outgoing_of(row: Mapping[Any, Any]) -> Outgoing:
    message = OutgoingMessage(**row["message"])
    event, place = _header_of(message)
    kind = Kind.EVENT if event else Kind.COMMAND if place and row["awaited"] else Kind.OTHER
    return Outgoing(
        id=row["id"],
        kind=kind,
        task=message.task,
        queue=message.queue or None,
        situation=_outgoing_situation(row, kind, time.time()),
        problem=row["problem"],
        times=row["times"],
        due_at=moment(row["due_at"]),
        created_at=datetime.fromtimestamp(row["created_at"], UTC),
        message_id=message.id,
        source=event.source if event else None,
        aggregate=event.aggregate if event else None,
        number=event.number if event else None,
        saga_id=place.saga if place else None,
        step=place.step if place else None,
        attempt=place.attempt if place else None,
        payload=payload_of(message),
    )


def _header_of(message: OutgoingMessage) -> tuple[EventHeader | None, Correlation | None]:
    headers = {HEADER: message.correlation}
    return EventHeader.from_headers(headers), Correlation.from_headers(headers)


def payload_of(message: OutgoingMessage) -> Any:
    try:
        return read_arguments(message.body, "application/json")[1]
    except Unreadable:  # whatever it is, the operator is shown it as it stands there
        return message.body


def _outgoing_situation(row: Mapping[Any, Any], kind: Kind, now: float) -> str:
    if row["problem"] is not None:
        problem = one_line(row["problem"])
        return problem if problem == NOBODY_SUBSCRIBES else f"failed: {problem}"
    due = row["due_at"]
    at = "as soon as a worker runs" if due is None or due <= now else f"at {_clock(due, now)}"
    if not row["times"]:
        return f"is sent {at}"
    missing = "answer" if kind is Kind.COMMAND else "receipt"
    return f"tried {times(row['times'])} and no {missing} yet; sent again {at}"


def _many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"
