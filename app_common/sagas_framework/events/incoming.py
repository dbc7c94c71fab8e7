"""An event as it came from the broker, or out of the inbox."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import RowMapping

from sagas_framework.delivery.kept import kept_of
from sagas_framework.delivery.suspects import POISON
from sagas_framework.storage.keeping import Kept
from sagas_framework.storage.outbox import StreamKey
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.wire import Unreadable, read_arguments
from sagas_framework.vocabulary.command import MAX_NAME_CHARACTERS, Failure
from sagas_framework.vocabulary.occurrence import EventHeader

KILLS_ITS_WORKER = "EventKillsItsWorker"
KILLER = Failure(KILLS_ITS_WORKER, POISON)


@dataclass(frozen=True)
class Incoming:
    """`row_id`: it is in the inbox. `problem`: what came of the last attempt, or why there is to be none."""

    stream: StreamKey
    number: int
    event: str
    message_id: str
    payload: Any
    row_id: int | None = None
    attempts: int = 0
    parked: bool = False
    wake_at: float | None = None
    problem: Failure | None = None

    def is_ready(self, now: float) -> bool:
        """Whether it may be handled when it is its turn."""
        return not self.parked and (self.wake_at is None or self.wake_at <= now)


def incoming_of(delivery: Delivery, subscriber: str, problem: Failure | None = None) -> Incoming | Kept:
    """What a message says, or the message itself with the reason why it cannot be taken in. With a `problem` it is
    parked as soon as it is there, whenever its turn may be."""
    try:
        _, payload = read_arguments(delivery.body, delivery.content_type)
    except Unreadable as error:
        return kept_of(delivery, str(error))
    header = EventHeader.from_headers(delivery.headers)
    if header is None:
        return kept_of(delivery, "it does not say which event of which source it is (no header of ours)")
    if len(delivery.task) > MAX_NAME_CHARACTERS:
        return kept_of(delivery, f"its name is longer than {MAX_NAME_CHARACTERS} characters")
    stream = StreamKey(subscriber, header.source, header.aggregate)
    incoming = Incoming(stream, header.number, delivery.task, delivery.message_id, payload)
    return incoming if problem is None else replace(incoming, attempts=1, parked=True, problem=problem)


def incoming_of_row(row: RowMapping) -> Incoming:
    return Incoming(
        StreamKey(row["subscriber"], row["source"], row["aggregate"]),
        row["number"],
        row["event"],
        row["message_id"],
        row["payload"],
        row["id"],
        row["attempts"],
        row["parked"],
        row["wake_at"],
    )
