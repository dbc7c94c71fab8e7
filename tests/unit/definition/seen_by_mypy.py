"""Sagas and handlers as a type checker sees them: it refuses exactly the lines that say so. Nothing here is run."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_type

from sagas_framework import (
    ANSWER_LATER,
    PIVOT,
    AnswerLater,
    AsyncStep,
    Command,
    Failure,
    HandlerContext,
    Saga,
    SagaBuilder,
    Sleep,
    StepContext,
    SyncStep,
    WaitForSignal,
    child_saga,
    choice,
    handles,
    include,
    parallel,
    send,
    when,
)
from sagas_framework.process_managers.manager import EventSourcedProcessManager, ProcessManager, applies


@dataclass(frozen=True)
class Ask:
    number: int


@dataclass(frozen=True)
class Ticket:
    number: int


@dataclass(frozen=True)
class Reject:
    ticket: int


create = Command("kitchen.create", queue="kitchen", payload=Ask, response=Ticket)
reject = Command("kitchen.reject", queue="kitchen", payload=Reject)
note = Command("kitchen.note", queue="kitchen", payload=dict)

assert_type(create, Command[Ask, Ticket])
assert_type(reject, Command[Reject, None])


@dataclass
class Customer:
    name: str


@dataclass
class Order:
    number: int
    customer: Customer


@dataclass
class UrgentOrder(Order):
    minutes: int = 10


@dataclass
class Parcel:
    weight: int


def ask(order: Order, step: StepContext) -> Ask:
    return Ask(order.number)


def remember(order: Order, reply: Ticket, step: StepContext) -> None: ...


def renumber(order: Order, reply: Ticket, step: StepContext) -> Order:
    return Order(reply.number, order.customer)


def complain(order: Order, failure: Failure, step: StepContext) -> None: ...
def rejection(order: Order, step: StepContext) -> Reject:
    return Reject(order.number)


def release(order: Order, step: StepContext) -> None: ...
def is_large(order: Order, step: StepContext) -> bool:
    return order.number > 100


def greet(customer: Customer, step: StepContext) -> None: ...
def weigh(parcel: Parcel, step: StepContext) -> None: ...
def is_heavy(parcel: Parcel, step: StepContext) -> bool:
    return parcel.weight > 100


def parcel_of(order: Order, step: StepContext) -> Parcel:
    return Parcel(order.number)


def shipped(order: Order, parcel: Parcel, step: StepContext) -> None: ...


class Greet(Saga[Customer]):
    response_queue = "orders"
    steps = (SyncStep("greet", action=greet),)


class Ship(Saga[Parcel]):
    response_queue = "orders"
    steps = (SyncStep("weigh", action=weigh),)


def create_step(name: str) -> AsyncStep:
    return AsyncStep(name, create, action=ask, kind=PIVOT)


any_order = AsyncStep("create", create, action=ask, on_success=remember, compensation=send(reject, rejection))
assert_type(any_order, AsyncStep[Order, Ask, Ticket])


class Right(Saga[UrgentOrder]):
    """Functions of a more general Order fit as well; a lambda's arguments are inferred."""

    response_queue = "orders"
    steps = (
        any_order,
        AsyncStep("create_again", create, ask, on_success=remember, on_failure=complain, compensation=release),
        AsyncStep("note", note, lambda order, step: {"minutes": order.minutes}, awaited=False),
        SyncStep("release", compensation=release),
        WaitForSignal("seen", payload=Ticket, on_signal=remember, timeout_seconds=60.0),
        Sleep("cook", lambda order, step: order.minutes * 60.0),
        parallel(any_order, [SyncStep("left", release), Sleep("rest", 1.0)]),
        choice(when(is_large, any_order), otherwise=SyncStep("small", release)),
        include(Greet, data=lambda order: order.customer),
        child_saga("ship", Ship, parcel_of, on_success=shipped),
        create_step("last"),
    )


class Wrong(Saga[Order]):
    response_queue = "orders"
    steps = [
        # Another payload than the command's, another reply than its response
        AsyncStep("a", create, action=rejection),  # type: ignore[arg-type]
        AsyncStep("b", note, lambda order, step: Ask(order.number)),  # type: ignore[arg-type, return-value]
        AsyncStep("c", create, ask, on_success=complain),  # type: ignore[arg-type]
        AsyncStep("d", reject, rejection, on_success=remember),  # type: ignore[misc]
        AsyncStep("e", create, ask, on_failure=remember),  # type: ignore[arg-type]
        AsyncStep("f", create, ask, compensation=send(reject, ask)),  # type: ignore[arg-type]
        AsyncStep("g", create, ask, compensation=rejection),  # type: ignore[arg-type]
        SyncStep("h", compensation=rejection),  # type: ignore[arg-type]
        WaitForSignal("i", payload=Reject, on_signal=remember),  # type: ignore[arg-type]
        Sleep("j", seconds=ask),  # type: ignore[arg-type]
        child_saga("k", Ship, ask),  # type: ignore[arg-type]
        child_saga("l", Ship, parcel_of, on_success=remember),  # type: ignore[arg-type]
        when(is_large),  # type: ignore[list-item]
        # Other data than the saga's
        SyncStep("m", action=weigh),  # type: ignore[arg-type]
        AsyncStep("n", create, ask, compensation=weigh),  # type: ignore[arg-type]
        AsyncStep("o", create, ask, on_success=shipped),  # type: ignore[arg-type]
        Sleep("p", lambda order, step: order.minutes),  # type: ignore[attr-defined]
        parallel(any_order, [SyncStep("q", weigh)]),  # type: ignore[arg-type]
        choice(when(is_heavy, any_order)),  # type: ignore[arg-type]
        choice(when(is_large, SyncStep("r", weigh))),  # type: ignore[arg-type]
        include(Greet),  # type: ignore[arg-type]
        include(Greet, data=parcel_of),  # type: ignore[arg-type]
    ]


class OfSomethingLess(Saga[Order]):
    response_queue = "orders"
    steps = Right.steps  # type: ignore[assignment]


# ---- handlers ----------------------------------------------------------------------------------------------------


@handles(create)
def at_once(payload: Ask, step: HandlerContext) -> Ticket:
    return Ticket(payload.number)


@handles(create)
def perhaps_later(payload: Ask, step: HandlerContext) -> Ticket | AnswerLater:
    return Ticket(payload.number) if payload.number else ANSWER_LATER


@handles(reject, transient=(OSError,))
def without_an_answer(payload: Reject, step: HandlerContext) -> None: ...


@handles(create)
def of_the_json_object(payload: dict[str, Any], step: HandlerContext) -> dict[str, Any]:
    return payload


@handles(note)
def of_a_dictionary(payload: dict[str, Any], step: HandlerContext) -> None: ...


def called_by_hand(step: HandlerContext) -> None:
    assert_type(at_once(Ask(1), step), Ticket)
    assert_type(perhaps_later(Ask(1), step), Ticket | AnswerLater)


@handles(create)  # type: ignore[arg-type]
def of_another_payload(payload: Reject, step: HandlerContext) -> Ticket:
    return Ticket(1)


@handles(create)  # type: ignore[arg-type]
def with_another_response(payload: Ask, step: HandlerContext) -> Ask:
    return payload


@handles(create)  # type: ignore[arg-type]
def with_no_response(payload: Ask, step: HandlerContext) -> None: ...


@handles(reject)  # type: ignore[arg-type]
def with_a_response_too_many(payload: Reject, step: HandlerContext) -> Ticket:
    return Ticket(1)


# ---- the fluent form ---------------------------------------------------------------------------------------------


def right() -> type[Saga[Order]]:
    return (
        SagaBuilder("Right", response_queue="orders", data=Order)
        .step()
        .invoke_participant(create, ask)
        .on_reply(renumber)
        .on_error(complain)
        .with_compensation(reject, rejection)
        .choice()
        .if_then(is_large, any_order)
        .add(SyncStep("release", release))
        .commit(release)
    )


def wrong() -> None:
    begun = SagaBuilder("Wrong", response_queue="orders", data=Order)
    begun.step("a").local(weigh)  # type: ignore[arg-type]
    begun.step("b").invoke_participant(create, rejection)  # type: ignore[arg-type]
    begun.step("c").invoke_participant(create, ask).on_reply(shipped)  # type: ignore[arg-type]
    begun.step("d").local(release).with_compensation(reject, ask)  # type: ignore[arg-type]
    begun.add(SyncStep("e", weigh))  # type: ignore[arg-type]
    begun.choice().if_then(is_heavy, any_order)  # type: ignore[arg-type]


# ---- process managers --------------------------------------------------------------------------------------------


class Plain(ProcessManager[Order]):
    commands = (create, reject)

    @handles(Ticket, starts="always")
    def right(self, event: Ticket) -> None:
        assert_type(self.state, Order)
        self.keys.set("number", event.number)
        self.send(create, Ask(1))
        self.send_later(reject, Reject(1), delay=timedelta(days=1))

    @handles(Ticket, starts="sometimes")  # type: ignore[call-overload, untyped-decorator]
    def wrong(self, event: Ticket) -> None:
        self.send(create, Reject(1))  # type: ignore[misc]
        self.send_later(reject, Ask(1), delay=timedelta(days=1))  # type: ignore[misc]
        self.keys.set("number", 1.5)  # type: ignore[arg-type]
        self.state.weight = 1  # type: ignore[attr-defined]
        self.record(Ticket(1))  # type: ignore[attr-defined]


class Stream(EventSourcedProcessManager[Order]):
    @applies(Ticket)
    def right(self, ticket: Ticket) -> None:
        self.state.number = ticket.number

    @applies(Ticket)  # type: ignore[arg-type]
    def wrong(self, ask: Ask) -> None: ...
