"""Tell the restaurant what was ordered. The ticket waits for approval; `reject_ticket` takes it back."""

from dataclasses import dataclass

from messaging.restaurant_service_messaging import COMMANDS_QUEUE
from sagas_framework import Command

TASK_NAME = "restaurant_service.create_ticket"


@dataclass(frozen=True)
class OrderItem:
    name: str
    quantity: int


@dataclass(frozen=True)
class Payload:
    order_id: int
    customer_id: int
    items: list[OrderItem]


@dataclass(frozen=True)
class Response:
    ticket_id: int


message = Command(
    TASK_NAME,
    queue=COMMANDS_QUEUE,
    payload=Payload,
    response=Response,
    title="Create restaurant ticket",
    summary="Tells the restaurant what is to be cooked. Answers with the id of the new ticket.",
)
