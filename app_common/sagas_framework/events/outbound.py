"""What one transaction is going to say: events and commands, written into the outbox together, at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy import event as database_event
from sqlalchemy.orm import Session, SessionTransaction

from sagas_framework.delivery.relay import FIRST_WAIT_SECONDS
from sagas_framework.errors import DefinitionError
from sagas_framework.storage import outbox
from sagas_framework.storage.outbox import OutboxRow, StreamKey
from sagas_framework.transport.wire import OutgoingMessage, event_message
from sagas_framework.vocabulary.event import AnyEvent, event_of
from sagas_framework.vocabulary.identity import new_message_id
from sagas_framework.vocabulary.occurrence import EventHeader

NOBODY_SUBSCRIBES = "nobody subscribes to it"
_OF_NOBODY = 1


@dataclass(frozen=True)
class _Told:
    """As it was when it was published: its class may be one whose instances can be changed."""

    event: AnyEvent
    key: str
    aggregate: str
    encoded: Any
    message_id: str

    @property
    def streams(self) -> list[StreamKey]:
        """One for each subscriber."""
        return [StreamKey(queue, self.event.source, self.aggregate) for queue in self.event.subscribers]

    @property
    def unheard(self) -> OutgoingMessage:
        """Nobody gets it, and it counts for nobody: it is kept for the operator, and numbered if he resends it."""
        return self.message("", _OF_NOBODY)

    def messages(self, numbers: Mapping[StreamKey, Iterator[int]]) -> list[OutgoingMessage]:
        return [self.message(key.subscriber, next(numbers[key])) for key in self.streams]

    def message(self, queue: str, number: int) -> OutgoingMessage:
        header = EventHeader(self.event.source, self.aggregate, number)
        return event_message(self.event, queue, self.message_id, self.key, self.encoded, header)


@dataclass(frozen=True)
class _Command:
    message: OutgoingMessage
    due_at: float | None


@dataclass(frozen=True)
class _Along:
    message: OutgoingMessage


_Said = _Told | _Command | _Along


class Outbound:
    """`publishes`: the events that this service declares to publish, by name."""

    def __init__(self, publishes: Mapping[str, AnyEvent]) -> None:
        self._publishes = publishes
        self._said: list[_Said] = []
        self._said_before: dict[SessionTransaction, int] = {}

    @staticmethod
    def of(session: Session) -> Outbound | None:
        """Where all that is published through this session goes, if there is such a place."""
        found: Outbound | None = session.info.get(Outbound)
        return found

    def take_all_of(self, session: Session) -> None:
        """All that is published through this session, by whatever way, comes here; what a savepoint takes back is not
        said."""
        session.info[Outbound] = self
        database_event.listen(session, "after_transaction_create", self._begun)
        database_event.listen(session, "after_soft_rollback", self._rolled_back)

    def _begun(self, session: Session, transaction: SessionTransaction) -> None:
        self._said_before[transaction] = len(self._said)

    def _rolled_back(self, session: Session, ended: SessionTransaction) -> None:
        del self._said[self._said_before.get(ended, 0) :]

    def publish(self, payload: Any) -> None:
        """`payload` is an instance of a class that stands for an event; PayloadRefused says what is wrong with it."""
        event = event_of(payload)
        if self._publishes.get(event.name) != event:
            known = ", ".join(sorted(self._publishes)) or "none"
            raise DefinitionError(
                f"{event.name!r} is not among the events that this service says it publishes ({known}): nobody would "
                f"take in the receipts. Add {type(payload).__name__} to `publishes`"
            )
        key, aggregate = event.key_of(payload), event.aggregate_of(payload)
        self._said.append(_Told(event, key, aggregate, event.encode(payload), new_message_id()))

    def send(self, message: OutgoingMessage, due_at: float | None = None) -> None:
        """A command whose answer comes to this subscriber's answers queue; `due_at`: not before."""
        self._said.append(_Command(message, due_at))

    def send_along(self, messages: Sequence[OutgoingMessage]) -> None:
        """What is not written here, because somebody else sends it in the end: a saga's commands, say."""
        self._said += map(_Along, messages)

    def include(self, other: Outbound) -> None:
        self._said += other._said

    def write(self, connection: Connection, now: float, *, sent_at_once: bool) -> list[OutgoingMessage]:
        """Writes all of it; gives what may be sent as soon as the transaction is committed.

        `sent_at_once`: the caller is going to do so; if it does not live to, the relay sends it a little later.
        """
        due_at, times = (now + FIRST_WAIT_SECONDS, 1) if sent_at_once else (now, 0)
        numbers = outbox.next_numbers(
            connection, [key for one in self._said if isinstance(one, _Told) for key in one.streams]
        )
        rows: list[OutboxRow] = []
        outgoing: list[OutgoingMessage] = []
        for one in self._said:
            if isinstance(one, _Told) and not one.streams:
                rows.append(OutboxRow(vars(one.unheard), True, None, problem=NOBODY_SUBSCRIBES))
            elif isinstance(one, _Command) and one.due_at is not None and one.due_at > now:
                rows.append(OutboxRow(vars(one.message), True, one.due_at))
            elif isinstance(one, _Along):
                outgoing.append(one.message)
            else:
                leaving = one.messages(numbers) if isinstance(one, _Told) else [one.message]
                rows += [OutboxRow(vars(message), True, due_at, times) for message in leaving]
                outgoing += leaving
        outbox.add(connection, rows, now)
        return outgoing if sent_at_once else []
