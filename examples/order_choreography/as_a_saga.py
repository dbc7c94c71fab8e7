"""The same flow as a saga, to compare: all that events.py and the handlers of the four services are there. In a system
the commands would be a module of their own, and the handlers those of the three services that take part."""

from dataclasses import dataclass

from examples.order_choreography.accounting.handlers import BALANCE
from examples.order_choreography.accounting.models import Authorization
from examples.order_choreography.consumers.handlers import SUSPENDED
from examples.order_choreography.orders.models import Order, OrderStatus
from examples.order_choreography.restaurant.handlers import MENU
from examples.order_choreography.restaurant.models import Ticket, TicketStatus
from sagas_framework import (
    PIVOT,
    RETRIABLE,
    AsyncStep,
    Command,
    Failure,
    HandlerContext,
    Refusal,
    Saga,
    StepContext,
    SyncStep,
    handles,
    send,
)


@dataclass(frozen=True)
class OfConsumer:
    consumer_id: int


@dataclass(frozen=True)
class OfOrder:
    order_id: int


@dataclass(frozen=True)
class Dish:
    order_id: int
    dish: str


@dataclass(frozen=True)
class Charge:
    order_id: int
    card_id: int
    amount: int


verify_consumer = Command("consumers.verify", "consumers.commands", OfConsumer)
create_ticket = Command("restaurant.create_ticket", "restaurant.commands", Dish)
approve_ticket = Command("restaurant.approve_ticket", "restaurant.commands", OfOrder)
reject_ticket = Command("restaurant.reject_ticket", "restaurant.commands", OfOrder)
authorize_card = Command("accounting.authorize_card", "accounting.commands", Charge)


# ---- the order service ----------------------------------------------------------------------------------------------


@dataclass
class OrderData:
    order_id: int
    consumer_id: int
    dish: str
    card_id: int
    amount: int


def its_consumer(data: OrderData, step: StepContext) -> OfConsumer:
    return OfConsumer(data.consumer_id)


def its_dish(data: OrderData, step: StepContext) -> Dish:
    return Dish(data.order_id, data.dish)


def itself(data: OrderData, step: StepContext) -> OfOrder:
    return OfOrder(data.order_id)


def its_charge(data: OrderData, step: StepContext) -> Charge:
    return Charge(data.order_id, data.card_id, data.amount)


def approve_order(data: OrderData, step: StepContext) -> None:
    step.session.get_one(Order, data.order_id).status = OrderStatus.APPROVED.value


class CreateOrder(Saga[OrderData]):
    response_queue = "orders.replies"
    steps = (
        AsyncStep("verify_consumer", verify_consumer, its_consumer),
        AsyncStep("create_ticket", create_ticket, its_dish, compensation=send(reject_ticket, itself)),
        AsyncStep("authorize_card", authorize_card, its_charge, kind=PIVOT),
        AsyncStep("approve_ticket", approve_ticket, itself, kind=RETRIABLE),
        SyncStep("approve_order", action=approve_order),
    )

    def on_saga_failure(self, data: OrderData, failure: Failure, step: StepContext) -> None:
        order = step.session.get_one(Order, data.order_id)
        order.status, order.why = OrderStatus.REJECTED.value, failure.message


# ---- those that take part -------------------------------------------------------------------------------------------


class Refused(Refusal):
    """Whoever is asked says no, and why."""


@handles(verify_consumer, database_only=True)
def verify(payload: OfConsumer, step: HandlerContext) -> None:
    if payload.consumer_id in SUSPENDED:
        raise Refused(f"consumer {payload.consumer_id} is suspended")


@handles(create_ticket, database_only=True)
def create(payload: Dish, step: HandlerContext) -> None:
    if payload.dish not in MENU:
        raise Refused(f"{payload.dish} is not on the menu")
    step.session.add(Ticket(order_id=payload.order_id, dish=payload.dish))


@handles(approve_ticket, database_only=True)
def approve(payload: OfOrder, step: HandlerContext) -> None:
    step.session.get_one(Ticket, payload.order_id).status = TicketStatus.APPROVED.value


@handles(reject_ticket, database_only=True)
def reject(payload: OfOrder, step: HandlerContext) -> None:
    step.session.get_one(Ticket, payload.order_id).status = TicketStatus.REJECTED.value


@handles(authorize_card, database_only=True)
def authorize(payload: Charge, step: HandlerContext) -> None:
    if payload.amount > BALANCE:
        raise Refused(f"card {payload.card_id} does not hold {payload.amount}")
    step.session.add(Authorization(order_id=payload.order_id, card_id=payload.card_id, amount=payload.amount))
