"""Sagas that meet events, in both forms: what they publish, and what starts them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, insert, select

from sagas_framework import AsyncStep, Command, Event, Failure, Refusal, Saga, SagaBuilder, StepContext, SyncStep
from sagas_framework.definition.retry import RetryPolicy
from sagas_framework.delivery.relay import OutboxRelay
from sagas_framework.events.due import DueEvents
from sagas_framework.events.inbox import EventBatches
from sagas_framework.events.intake import Intake
from sagas_framework.orchestrator.on_events import EventStart, SagaStarter
from sagas_framework.storage.schema import event_inbox, history, instances, outbox
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.wire import event_message
from sagas_framework.vocabulary.event import event_of
from sagas_framework.vocabulary.identity import new_message_id
from sagas_framework.vocabulary.occurrence import EventHeader
from tests.support.orchestration import NAME, Bench, delivery_of
from tests.support.sagas import orders

EVENTS = "orders.events"
AUDIT = "audit.events"
RETRY = RetryPolicy(max_attempts=2, initial_delay_seconds=0.0)


@dataclass(frozen=True)
class OrderPlaced:
    order_id: int
    amount: int = 1


@dataclass(frozen=True)
class OrderApproved:
    order_id: int


@dataclass(frozen=True)
class OrderRejected:
    order_id: int
    why: str


@dataclass(frozen=True)
class OrderForgotten:
    """Nobody declares that it is published."""

    order_id: int


placed = Event("shop.order_placed", source="shop", payload=OrderPlaced, key="order_id", subscribers=[EVENTS])
approved = Event("orders.approved", source="orders", payload=OrderApproved, key="order_id", subscribers=[AUDIT])
rejected = Event("orders.rejected", source="orders", payload=OrderRejected, key="order_id", subscribers=[AUDIT])
forgotten = Event("orders.forgotten", source="orders", payload=OrderForgotten, key="order_id", subscribers=[AUDIT])


@dataclass
class Approval:
    order_id: int
    amount: int = 1


@dataclass(frozen=True)
class Charge:
    order_id: int


CHARGE = Command("bank.charge", "bank.commands", Charge)

hooks: dict[str, Callable[[Approval, StepContext], None]] = {}
"""What a function does besides, by its name; forgotten after each test."""


def _also(name: str, data: Approval, step: StepContext) -> None:
    if name in hooks:
        hooks[name](data, step)


def write_down(data: Approval, step: StepContext) -> None:
    step.session.execute(insert(orders).values(note=f"order {data.order_id}"))
    _also("write_down", data, step)


def to_charge(data: Approval, step: StepContext) -> Charge:
    return Charge(data.order_id)


def settle(data: Approval, step: StepContext) -> None:
    _also("settle", data, step)


def tell_success(data: Approval, step: StepContext) -> None:
    step.publish(OrderApproved(data.order_id))
    _also("tell_success", data, step)


def tell_failure(data: Approval, failure: Failure, step: StepContext) -> None:
    step.publish(OrderRejected(data.order_id, failure.message))
    _also("tell_failure", data, step)


class Approve(Saga[Approval]):
    response_queue = "orders.replies"
    steps = (
        SyncStep("write_down", action=write_down),
        AsyncStep("charge", CHARGE, action=to_charge),
        SyncStep("settle", action=settle),
    )

    def on_saga_success(self, data: Approval, step: StepContext) -> None:
        tell_success(data, step)

    def on_saga_failure(self, data: Approval, failure: Failure, step: StepContext) -> None:
        tell_failure(data, failure, step)


ApproveFluently = (
    SagaBuilder("ApproveFluently", response_queue="orders.replies", data=Approval)
    .step("write_down")
    .local(write_down)
    .step("charge")
    .invoke_participant(CHARGE, to_charge)
    .step("settle")
    .local(settle)
    .commit(tell_success, on_failure=tell_failure)
)

BOTH_FORMS = (Approve, ApproveFluently)


class NoMoney(Refusal):
    """The card is empty."""


def to_approve(event: OrderPlaced) -> Approval:
    return Approval(event.order_id, event.amount)


@dataclass
class Desk:
    """An orchestrator's worker, as far as events are concerned. Several on one engine are several workers."""

    engine: Engine
    on_events: Sequence[EventStart] = ()
    sagas: Sequence[type[Saga[Any]]] = BOTH_FORMS
    publishes: Sequence[type[Any]] = (OrderApproved, OrderRejected)
    bench: Bench = field(init=False)
    batches: EventBatches = field(init=False)
    due_events: DueEvents = field(init=False)

    def __post_init__(self) -> None:
        self.bench = Bench(self.engine, *self.sagas, publishes=self.publishes)
        starter = SagaStarter(NAME, self.bench.definitions, self.on_events)
        intake = Intake(EVENTS, self.engine, [starter], self.bench.publishes, RETRY)
        self.batches = EventBatches(self.engine, self.bench.publisher, intake)
        self.due_events = DueEvents(self.engine, self.bench.publisher, intake)

    def take(self, *deliveries: Delivery) -> list[str]:
        """What is sent on the spot, but the receipts."""
        self.batches.handle(deliveries)
        return [message.task for message in self.bench.publisher.take() if message.task != "sagas.receipts"]

    def relay(self) -> None:
        OutboxRelay(self.engine, self.bench.publisher)()

    def rows(self, *columns: Any) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(select(*columns).order_by(columns[0].table.c.id)).all())

    def notes(self) -> list[str]:
        return [note for (note,) in self.rows(orders.c.note)]

    def sagas_there(self) -> list[tuple[str, str]]:
        return [(saga, status) for saga, status in self.rows(instances.c.saga, instances.c.status)]

    def data(self) -> list[dict[str, Any]]:
        return [data for (data,) in self.rows(instances.c.data)]

    def told(self) -> list[tuple[str, int]]:
        """What waits in the outbox for its subscriber: the event, and its number among those of its order."""
        found = [OutgoingEvent(**message) for (message,) in self.rows(outbox.c.message)]
        return [(one.task, one.correlation["number"]) for one in found]

    def waiting(self) -> list[tuple[int, bool, str]]:
        """The events that are in the inbox: number, whether it waits for the operator, why."""
        rows = self.rows(event_inbox.c.number, event_inbox.c.parked, event_inbox.c.failure)
        return [(number, parked, failure["message"] if failure else "") for number, parked, failure in rows]

    def history(self, saga_id: str) -> list[str]:
        return [name for id_, name in self.rows(history.c.saga_id, history.c.event) if id_ == saga_id]


@dataclass
class OutgoingEvent:
    queue: str
    task: str
    id: str
    body: str
    parent_id: None
    correlation: dict[str, Any]


def delivered(payload: Any, number: int = 1, id_: str | None = None) -> Delivery:
    """An event as its publisher's relay sends it."""
    event = event_of(payload)
    header = EventHeader(event.source, event.aggregate_of(payload), number)
    sent = event_message(event, EVENTS, id_ or new_message_id(), event.key_of(payload), event.encode(payload), header)
    return delivery_of(sent)
