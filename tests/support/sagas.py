"""The saga that the storage tests run: small, with one of everything, and switches to make its functions raise."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Column, Integer, MetaData, String, Table, insert
from sqlalchemy.orm import declarative_base

from sagas_framework import (
    PIVOT,
    RETRIABLE,
    AsyncStep,
    Command,
    Failure,
    RetryPolicy,
    Saga,
    StepContext,
    SyncStep,
    send,
)

app_metadata = MetaData()
orders = Table("app_order", app_metadata, Column("id", Integer, primary_key=True), Column("note", String(200)))


class Note(declarative_base()):  # type: ignore[misc]  # as declarative_base() is typed
    """The same row as an object: written when somebody flushes, not before."""

    __table__ = orders


@dataclass
class OrderData:
    order_id: int
    notes: list[str] = field(default_factory=list)
    ticket_id: int | None = None


@dataclass(frozen=True)
class Ask:
    order_id: int


@dataclass(frozen=True)
class Ticket:
    ticket_id: int


CREATE = Command("kitchen.create", "kitchen.commands", Ask, Ticket)
REJECT = Command("kitchen.reject", "kitchen.commands", Ask)
CHARGE = Command("bank.charge", "bank.commands", Ask)
APPROVE = Command("kitchen.approve", "kitchen.commands", Ask)

QUICKLY = RetryPolicy(max_attempts=2, initial_delay_seconds=0.0)

hooks: dict[str, Callable[[OrderData, StepContext], None]] = {}
"""What a test wants a function of the saga to do besides: its name (`remember_ticket`) -> what is called."""


def _hook(name: str, order: OrderData, step: StepContext) -> None:
    if name in hooks:
        hooks[name](order, step)


def note(step: StepContext, text: str) -> None:
    step.session.execute(insert(orders).values(note=text))


def reserve(order: OrderData, step: StepContext) -> None:
    note(step, f"{order.order_id} reserved")
    order.notes.append("reserved")
    _hook("reserve", order, step)


def release(order: OrderData, step: StepContext) -> None:
    note(step, f"{order.order_id} released")
    _hook("release", order, step)


def ask(order: OrderData, step: StepContext) -> Ask:
    _hook("ask", order, step)
    return Ask(order.order_id)


def remember_ticket(order: OrderData, ticket: Ticket, step: StepContext) -> None:
    note(step, f"{order.order_id} ticket {ticket.ticket_id}")
    order.ticket_id = ticket.ticket_id
    _hook("remember_ticket", order, step)


def note_failure(order: OrderData, failure: Failure, step: StepContext) -> None:
    note(step, f"{order.order_id} failed: {failure.type}")
    _hook("note_failure", order, step)


def approved(order: OrderData, reply: None, step: StepContext) -> None:
    _hook("approved", order, step)


def finish(order: OrderData, step: StepContext) -> None:
    _hook("finish", order, step)


class OrderSaga(Saga[OrderData]):
    response_queue = "order_replies"
    steps = (
        SyncStep("reserve", action=reserve, compensation=release),
        AsyncStep(
            "create",
            CREATE,
            action=ask,
            on_success=remember_ticket,
            on_failure=note_failure,
            compensation=send(REJECT, ask, retry=QUICKLY),
            retry=QUICKLY,
        ),
        AsyncStep("charge", CHARGE, action=ask, kind=PIVOT),
        AsyncStep("approve", APPROVE, action=ask, on_success=approved, kind=RETRIABLE, retry=QUICKLY),
        SyncStep("finish", action=finish, retry=QUICKLY),
    )


def void(order: OrderData, step: StepContext) -> Ask:
    return Ask(order.order_id)


class QuietSaga(Saga[OrderData]):
    """Its compensation is one that nobody awaits."""

    response_queue = "order_replies"
    steps = (
        AsyncStep("create", CREATE, action=ask, compensation=send(REJECT, void, awaited=False)),
        AsyncStep("charge", CHARGE, action=ask, kind=PIVOT),
    )
