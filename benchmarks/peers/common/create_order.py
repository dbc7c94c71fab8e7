"""The CreateOrder work every peer does: the orders, what the three services do with them, and how a saga has to end.

A ticket has the number of its order and an order the number of its saga. So peers that keep nothing need not remember
anything either, and do the same work as those that do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import uuid4

Payload = dict[str, Any]

BALANCE = 50
"""What every card holds: an amount must stay below it."""


class Mode(StrEnum):
    FORWARD = "forward"
    COMPENSATING = "compensating"


class Report(StrEnum):
    """What the processes tell about a saga. It has ended when everything expected of its mode was told."""

    ORDER_APPROVED = "order-approved"
    ORDER_REJECTED = "order-rejected"
    TICKET_REJECTED = "ticket-rejected"


EXPECTED_REPORTS: dict[Mode, frozenset[Report]] = {
    Mode.FORWARD: frozenset({Report.ORDER_APPROVED}),
    Mode.COMPENSATING: frozenset({Report.ORDER_REJECTED, Report.TICKET_REJECTED}),
}


class InsufficientBalance(Exception):
    """The card does not hold enough: what every compensating saga meets at its third step."""


@dataclass(frozen=True)
class Order:
    order_id: int
    consumer_id: int
    card_id: int
    amount: int
    items: list[Payload]


def order_of(saga_id: int, mode: Mode) -> Order:
    amount = BALANCE - 1 if mode is Mode.FORWARD else BALANCE
    items = [{"name": "pizza", "quantity": 2}, {"name": "salad", "quantity": 1}]
    return Order(order_id=saga_id, consumer_id=50 + saga_id % 50, card_id=1, amount=amount, items=items)


def consumer_to_verify(order: Order) -> Payload:
    return {"consumer_id": order.consumer_id}


def ticket_to_create(order: Order) -> Payload:
    return {"order_id": order.order_id, "customer_id": order.consumer_id, "items": order.items}


def card_to_authorize(order: Order) -> Payload:
    return {"card_id": order.card_id, "amount": order.amount}


def ticket_of(order: Order) -> Payload:
    return {"ticket_id": order.order_id}


def verify_consumer_details(payload: Payload) -> Payload:
    if payload["consumer_id"] < 50:
        raise ValueError(f"Consumer {payload['consumer_id']} may not order")
    return {}


def create_ticket(payload: Payload) -> Payload:
    if not payload["items"] or any(item["quantity"] < 1 for item in payload["items"]):
        raise ValueError(f"Order {payload['order_id']} needs items, and at least one of each")
    return {"ticket_id": payload["order_id"]}


def authorize_card(payload: Payload) -> Payload:
    if payload["amount"] >= BALANCE:
        raise InsufficientBalance(f"The balance of card {payload['card_id']} is too low for {payload['amount']}")
    return {"transaction_id": str(uuid4())}


def approve_ticket(payload: Payload) -> Payload:
    return {"ticket_id": payload["ticket_id"]}


def reject_ticket(payload: Payload) -> Payload:
    return {"ticket_id": payload["ticket_id"]}


@dataclass(frozen=True)
class Command:
    """One request to one service: its name, the queue it goes to, its payload, and what the service does."""

    name: str
    queue: str
    payload_of: Callable[[Order], Payload]
    handle: Callable[[Payload], Payload]


CONSUMER_QUEUE = "consumer_service.commands"
RESTAURANT_QUEUE = "restaurant_service.commands"
ACCOUNTING_QUEUE = "accounting_service.commands"
REPLY_QUEUE = "create_order_saga_responses"

STEPS = (
    Command(
        "consumer_service.verify_consumer_details", CONSUMER_QUEUE, consumer_to_verify, handle=verify_consumer_details
    ),
    Command("restaurant_service.create_ticket", RESTAURANT_QUEUE, ticket_to_create, handle=create_ticket),
    Command("accounting_service.authorize_card", ACCOUNTING_QUEUE, card_to_authorize, handle=authorize_card),
    Command("restaurant_service.approve_ticket", RESTAURANT_QUEUE, ticket_of, handle=approve_ticket),
)
REJECT_TICKET = Command("restaurant_service.reject_ticket", RESTAURANT_QUEUE, ticket_of, handle=reject_ticket)
