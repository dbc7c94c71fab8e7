"""A bank that publishes and a subscriber that cannot handle everything, without a broker, in one database."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from sqlalchemy import Column, Engine, Integer, MetaData, Table, insert, select

from sagas_framework import Broker, Command, Event, EventContext, Failure, Participant, RetryPolicy, Subscriber, handles
from sagas_framework.delivery.relay import OutboxRelay
from sagas_framework.events.due import DueEvents
from sagas_framework.events.handlers import PlainHandler
from sagas_framework.events.inbox import EventBatches
from sagas_framework.events.intake import Intake
from sagas_framework.events.marks import bindings_of
from sagas_framework.events.outbound import Outbound
from sagas_framework.events.receipts import ReceiptBatches
from sagas_framework.events.subscription import Subscription
from sagas_framework.operations import Events
from sagas_framework.storage.schema import outbox
from sagas_framework.transport.celery_app import create_celery_app
from sagas_framework.transport.wire import OutgoingMessage, command_message, receipts_message
from sagas_framework.vocabulary.correlation import Correlation
from sagas_framework.vocabulary.event import event_of
from sagas_framework.vocabulary.identity import Direction, message_id
from tests.support.orchestration import RecordingPublisher, answer, delivery_of

QUEUE = "crm.events"
RETRY = RetryPolicy(max_attempts=2, initial_delay_seconds=60.0)
LONG_SECONDS = 100_000.0

customers = Table("customer", MetaData(), Column("id", Integer, primary_key=True), Column("n", Integer))


@dataclass(frozen=True)
class Opened:
    account: str
    n: int = 0


opened = Event("bank.opened", source="bank", payload=Opened, key="account", subscribers=[QUEUE])


@dataclass(frozen=True)
class Gossip:
    account: str


gossip = Event("bank.gossip", source="bank", payload=Gossip, key="account")


@dataclass(frozen=True)
class GossipHeard:
    """The same event, in a later release: somebody subscribes by now."""

    account: str


heard = Event("bank.gossip", source="bank", payload=GossipHeard, key="account", subscribers=[QUEUE])


@dataclass(frozen=True)
class Account:
    name: str


block = Command("bank.block", queue="bank.commands", payload=Account)


class Bank:
    """Publishes and sends; what it has sent arrives only where a test hands it on."""

    def __init__(self, engine: Engine, *events: type[Any]) -> None:
        broker = Broker("memory://")
        publishes = {event_of(kind).name: event_of(kind) for kind in events or (Opened, Gossip)}
        app = create_celery_app("bank", broker, ["bank.commands", "bank.receipts"], batches=False)
        self.engine = engine
        self.participant = Participant("bank", app, broker, engine, publishes)
        self.events = Events(self.participant)
        self.publisher = RecordingPublisher()
        self.relay = OutboxRelay(engine, self.publisher)
        self._receipts = ReceiptBatches(engine, self.publisher, RetryPolicy(max_attempts=1))

    def publish(self, *events: Any) -> list[OutgoingMessage]:
        """What has left just after the commit."""
        outbound = Outbound(self.participant.publishes)
        for event in events:
            outbound.publish(event)
        return self._write(outbound)

    def command(self, saga_id: str) -> OutgoingMessage:
        """Of a process manager."""
        place = ("bank", saga_id, "block", Direction.ACTION, 1)
        correlation = Correlation(*place, reply_queue="bank.receipts")
        outbound = Outbound({})
        outbound.send(command_message(block, message_id(*place), {"name": "a1"}, correlation))
        return self._write(outbound)[0]

    def take_receipt(self, *messages: OutgoingMessage) -> None:
        receipt = receipts_message("bank.receipts", QUEUE, [message.id for message in messages])
        self._receipts.handle([delivery_of(receipt)])

    def take_failure(self, command: OutgoingMessage, failure: Failure) -> None:
        self._receipts.handle([answer(command, failure)])

    def relayed_at(self, now: float) -> list[OutgoingMessage]:
        with mock.patch("sagas_framework.delivery.relay.time.time", return_value=now):
            self.relay()
        return self.publisher.take()

    def rows(self) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(select(outbox).order_by(outbox.c.id)).mappings()]

    def _write(self, outbound: Outbound) -> list[OutgoingMessage]:
        with self.engine.begin() as connection:
            return outbound.write(connection, time.time(), sent_at_once=True)


@dataclass
class Crm:
    """A subscriber whose handler raises at the numbers in `unlucky`."""

    engine: Engine
    queue: str = QUEUE
    unlucky: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        @handles(Opened)
        def welcome(event: Opened, context: EventContext) -> None:
            if event.n in self.unlucky:
                raise ValueError("unlucky")
            context.session.execute(insert(customers).values(n=event.n))

        customers.create(self.engine, checkfirst=True)
        broker = Broker("memory://")
        app = create_celery_app("crm", broker, [self.queue, "crm.receipts"], batches=True)
        handler = PlainHandler(welcome, bindings_of(welcome))
        intake = Intake(self.queue, self.engine, [handler], {}, RETRY)
        self.subscriber = Subscriber("crm", app, broker, Subscription(app, broker, intake), {})
        self.events = Events(self.subscriber)
        self.publisher = RecordingPublisher()
        self._batches = EventBatches(self.engine, self.publisher, intake)
        self._due = DueEvents(self.engine, self.publisher, intake)

    @property
    def handled(self) -> list[int]:
        """What the handler has done, in its order, as far as it is committed."""
        with self.engine.connect() as connection:
            return list(connection.scalars(select(customers.c.n).order_by(customers.c.id)))

    def take(self, messages: Sequence[OutgoingMessage]) -> None:
        self._batches.handle([delivery_of(message) for message in messages])

    def due_now(self) -> None:
        """What a running worker does, until nothing is due."""
        while self._due() == 0.0:
            pass

    def due_in(self, seconds: float) -> None:
        with mock.patch("sagas_framework.events.inbox.time.time", return_value=time.time() + seconds):
            self._due()

    def park(self, messages: Sequence[OutgoingMessage]) -> None:
        """Takes them; the first one that fails has used up its tries."""
        self.take(messages)
        self.due_in(LONG_SECONDS)

    def situations(self) -> list[str]:
        return [one.situation for one in self.events.waiting()]
