"""A publisher and subscribers of events without a broker: messages are caught and handed over by hand."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

from sqlalchemy import Engine, Table, insert, select
from sqlalchemy.orm import Session

from sagas_framework import Event, EventContext, RetryPolicy, handles
from sagas_framework.delivery.relay import OutboxRelay
from sagas_framework.events.handlers import PlainHandler
from sagas_framework.events.inbox import DueEvents, EventBatches
from sagas_framework.events.intake import Intake
from sagas_framework.events.marks import bindings_of
from sagas_framework.events.publishing import Announcer
from sagas_framework.events.receipts import ReceiptBatches
from sagas_framework.storage.database import reading
from sagas_framework.storage.schema import event_inbox, event_streams, outbox
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.inbox import Unfinished
from sagas_framework.transport.wire import OutgoingMessage
from sagas_framework.vocabulary.correlation import HEADER
from sagas_framework.vocabulary.event import AnyEvent, event_of
from sagas_framework.vocabulary.names import RECEIPTS_TASK
from tests.support.orchestration import RecordingPublisher, delivery_of
from tests.support.participation import payload_of
from tests.support.sagas import orders

LEDGER, MAIL, AUDIT = "ledger.events", "mail.events", "audit.events"
MOST_HOLDS = 20


@dataclass(frozen=True)
class Opened:
    account: str


@dataclass(frozen=True)
class Moved:
    account: str
    amount: int


@dataclass(frozen=True)
class Closed:
    """Nobody wants to know."""

    account: str


@dataclass(frozen=True)
class Booked:
    """What the ledger says in its turn."""

    account: str
    amount: int


OPENED = Event("bank.opened", source="bank", payload=Opened, key="account", subscribers=[LEDGER, MAIL])
MOVED = Event("bank.moved", source="bank", payload=Moved, key="account", subscribers=[LEDGER])
CLOSED = Event("bank.closed", source="bank", payload=Closed, key="account")
BOOKED = Event("ledger.booked", source="ledger", payload=Booked, key="account", subscribers=[AUDIT])

QUICKLY = RetryPolicy(max_attempts=3, initial_delay_seconds=10.0, factor=2.0)


def by_name(*classes: type[Any]) -> dict[str, AnyEvent]:
    return {event_of(one).name: event_of(one) for one in classes}


@contextmanager
def at(moment: float | None) -> Iterator[None]:
    """The clock stands there; None: it goes as ever."""
    if moment is None:
        yield
        return
    with mock.patch("time.time", return_value=moment):
        yield


def rows(engine: Engine, table: Table) -> list[Any]:
    with reading(engine) as connection:
        return list(connection.execute(select(table).order_by(*table.primary_key)))


class Bank:
    """One process of a service that publishes. Several on one engine are several workers."""

    def __init__(self, engine: Engine, *classes: type[Any]) -> None:
        self.engine = engine
        self.publisher = RecordingPublisher()
        self.announcer = Announcer(self.publisher, by_name(*(classes or (Opened, Moved, Closed))))
        self.relay = OutboxRelay(engine, self.publisher)
        self.receipts = ReceiptBatches(engine, self.publisher, QUICKLY)

    def publish(self, *events: Any) -> list[OutgoingMessage]:
        """In one transaction; gives what has left."""
        with Session(self.engine) as session, session.begin():
            for event in events:
                self.announcer.announce(event, session)
        return self.publisher.take()

    def relay_at(self, moment: float | None = None) -> list[OutgoingMessage]:
        with at(moment):
            self.relay()
        return self.publisher.take()

    def receive(self, *receipts: OutgoingMessage) -> None:
        self.receipts.handle([delivery_of(one) for one in receipts])

    def outbox(self) -> list[Any]:
        return rows(self.engine, outbox)


class Ledger:
    """One worker of a subscriber. `handled` are the numbers that were handled and committed, by aggregate; `before`
    is what a test wants its handler to do besides."""

    def __init__(self, engine: Engine, queue: str = LEDGER, *events: type[Any]) -> None:
        self.engine = engine
        self.queue = queue
        self.publisher = RecordingPublisher()
        self.before: Callable[[Any, EventContext], None] = lambda event, context: None
        self.runs: list[tuple[str, int]] = []

        def write_down(event: Any, context: EventContext) -> None:
            self.runs.append((context.aggregate, context.number))
            context.session.execute(insert(orders).values(note=f"{context.aggregate} {context.number}"))
            self.before(event, context)

        for event in events or (Opened, Moved):
            write_down = handles(event)(write_down)
        consumers = [PlainHandler(write_down, bindings_of(write_down))]
        self.intake = Intake(queue, engine, consumers, by_name(Booked), QUICKLY)
        self.batches = EventBatches(engine, self.publisher, self.intake)
        self.due = DueEvents(engine, self.publisher, self.intake)

    def take(self, *given: OutgoingMessage | Delivery, now: float | None = None) -> None:
        """One batch, as an inbox hands it over; raises Unfinished with what is left of it."""
        with at(now):
            self.batches.handle([one if isinstance(one, Delivery) else delivery_of(one) for one in given])

    def take_in_the_end(self, *given: OutgoingMessage | Delivery) -> None:
        """What an inbox does with a batch: what is held comes back."""
        left = [one if isinstance(one, Delivery) else delivery_of(one) for one in given]
        for _ in range(MOST_HOLDS):
            try:
                return self.take(*left)
            except Unfinished as unfinished:
                left = list(unfinished.hold)
                assert left and not unfinished.give_back
                for delivery in left:
                    delivery.tried_before = True
        raise AssertionError(f"it was held {MOST_HOLDS} times")

    def due_at(self, moment: float) -> None:
        """Rounds of the chore at that time, until there is nothing more to do."""
        with at(moment):
            for _ in range(100):
                if self.due():
                    return
        raise AssertionError("the chore never comes to rest")

    def receipts(self) -> list[OutgoingMessage]:
        """What was sent since the last look, all of it receipts."""
        sent = self.publisher.take()
        assert {one.task for one in sent} <= {RECEIPTS_TASK}
        return sent

    @property
    def handled(self) -> dict[str, list[int]]:
        handled: dict[str, list[int]] = {}
        for row in rows(self.engine, orders):
            aggregate, _, number = row.note.rpartition(" ")
            if aggregate:  # else it is no line of ours
                handled.setdefault(aggregate, []).append(int(number))
        return handled

    def stored(self) -> dict[tuple[str, int], Any]:
        return {(row.aggregate, row.number): row for row in self._own(event_inbox)}

    def streams(self) -> dict[str, tuple[int, bool]]:
        """(handled, stored) by aggregate."""
        return {row.aggregate: (row.handled, row.stored) for row in self._own(event_streams)}

    def _own(self, table: Table) -> list[Any]:
        return [row for row in rows(self.engine, table) if row.subscriber == self.queue]


def wanted_by(queue: str, messages: Sequence[OutgoingMessage]) -> list[OutgoingMessage]:
    return [message for message in messages if message.queue == queue]


def header_of(message: OutgoingMessage) -> dict[str, Any]:
    header: dict[str, Any] = message.headers()[HEADER]
    return header


def number_of(message: OutgoingMessage) -> int:
    return int(header_of(message)["number"])


def received(receipt: OutgoingMessage) -> list[str]:
    ids: list[str] = payload_of(receipt)["received"]
    return ids


def sent_by_bank(count: int, account: str = "1") -> list[OutgoingMessage]:
    """The messages of so many events of one account, as the bank would number them; written nowhere."""
    aggregate = f"account={account}"
    header = {"source": "bank", "aggregate": aggregate}
    return [
        OutgoingMessage(
            LEDGER,
            MOVED.name,
            f"id of {aggregate} {number}",
            f'[["{account}", {{"account": "{account}", "amount": {number}}}], {{}}, {{}}]',
            None,
            header | {"number": number},
        )
        for number in range(1, count + 1)
    ]


def changed(message: OutgoingMessage, **header: Any) -> OutgoingMessage:
    return replace(message, correlation=header_of(message) | header)


def module_of(*functions: Any) -> Any:
    module = SimpleNamespace(**{function.__name__: function for function in functions})
    module.__name__ = functions[0].__module__ if functions else "nothing"
    return module
