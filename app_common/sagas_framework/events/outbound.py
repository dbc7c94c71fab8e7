"""What one transaction is going to say: events and commands, written into the outbox together, at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from sagas_framework.delivery.relay import FIRST_WAIT_SECONDS
from sagas_framework.errors import DefinitionError
from sagas_framework.storage import outbox
from sagas_framework.storage.outbox import OutboxRow, StreamKey
from sagas_framework.transport.wire import OutgoingMessage, event_message
from sagas_framework.vocabulary.event import AnyEvent, event_of
from sagas_framework.vocabulary.identity import new_message_id
from sagas_framework.vocabulary.occurrence import EventHeader

NOBODY_SUBSCRIBES = "nobody subscribes to it"


@dataclass(frozen=True)
class _Told:
    event: AnyEvent
    payload: Any
    encoded: Any
    message_id: str

    @property
    def streams(self) -> list[StreamKey]:
        """One for each subscriber."""
        aggregate = self.event.aggregate_of(self.payload)
        return [StreamKey(queue, self.event.source, aggregate) for queue in self.event.subscribers]

    def message(self, queue: str, number: int) -> OutgoingMessage:
        header = EventHeader(self.event.source, self.event.aggregate_of(self.payload), number)
        return event_message(self.event, queue, self.message_id, self.event.key_of(self.payload), self.encoded, header)


class Outbound:
    """`publishes`: the events that this service declares to publish, by name."""

    def __init__(self, publishes: Mapping[str, AnyEvent]) -> None:
        self._publishes = publishes
        self._told: list[_Told] = []
        self._commands: list[tuple[OutgoingMessage, float | None]] = []
        self._along: list[OutgoingMessage] = []

    def publish(self, payload: Any) -> None:
        """`payload` is an instance of a class that stands for an event; PayloadRefused says what is wrong with it."""
        event = event_of(payload)
        if self._publishes.get(event.name) != event:
            known = ", ".join(sorted(self._publishes)) or "none"
            raise DefinitionError(
                f"{event.name!r} is not among the events that this service says it publishes ({known}): nobody would "
                f"take in the receipts. Add {type(payload).__name__} to `publishes`"
            )
        event.key_of(payload)  # refused here and now, not when it is written
        self._told.append(_Told(event, payload, event.encode(payload), new_message_id()))

    def send(self, message: OutgoingMessage, due_at: float | None = None) -> None:
        """A command whose answer comes to this subscriber's answers queue; `due_at`: not before."""
        self._commands.append((message, due_at))

    def send_along(self, messages: Sequence[OutgoingMessage]) -> None:
        """What is not written here, because somebody else sends it in the end: a saga's commands, say."""
        self._along += messages

    def include(self, other: Outbound) -> None:
        self._told += other._told
        self._commands += other._commands
        self._along += other._along

    def write(self, connection: Connection, now: float, *, sent_at_once: bool) -> list[OutgoingMessage]:
        """Writes all of it; gives what may be sent as soon as the transaction is committed.

        `sent_at_once`: the caller is going to do so; if it does not live to, the relay sends it a little later.
        """
        due_at, times = (now + FIRST_WAIT_SECONDS, 1) if sent_at_once else (now, 0)
        rows: list[OutboxRow] = []
        outgoing: list[OutgoingMessage] = []
        for message in self._events(connection):
            problem = None if message.queue else NOBODY_SUBSCRIBES
            rows.append(OutboxRow(vars(message), True, None if problem else due_at, 0 if problem else times, problem))
            outgoing += [] if problem else [message]
        for message, not_before in self._commands:
            later = not_before is not None and not_before > now
            rows.append(OutboxRow(vars(message), True, not_before if later else due_at, 0 if later else times))
            outgoing += [] if later else [message]
        outbox.add(connection, rows, now)
        return [*outgoing, *self._along] if sent_at_once else []

    def _events(self, connection: Connection) -> Iterator[OutgoingMessage]:
        numbers = outbox.next_numbers(connection, [key for told in self._told for key in told.streams])
        for told in self._told:
            for key in told.streams:
                yield told.message(key.subscriber, next(numbers[key]))
            if not told.streams:
                yield told.message("", 1)
