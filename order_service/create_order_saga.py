"""An order is approved once consumer, restaurant and card all agree; else all is taken back."""

from dataclasses import dataclass

from messaging.accounting_service_messaging import authorize_card_message, void_authorization_message
from messaging.consumer_service_messaging import verify_consumer_details_message
from messaging.order_service_messaging import CREATE_ORDER_SAGA_RESPONSE_QUEUE
from messaging.restaurant_service_messaging import (
    approve_ticket_message,
    create_ticket_message,
    reject_ticket_message,
)
from order_service.models import OrderItem, OrderStatus, settle_order
from sagas_framework import PIVOT, RETRIABLE, AsyncStep, RetryPolicy, Saga, StepContext, SyncStep, send


@dataclass
class CreateOrderData:
    order_id: int
    consumer_id: int
    card_id: int
    amount: int
    items: list[OrderItem]
    ticket_id: int | None = None
    transaction_id: str | None = None


class TooManyToDeliver(Exception):
    """Raised in the orchestrator's own code, to show that this too is compensated."""


def consumer_to_verify(order: CreateOrderData, step: StepContext) -> verify_consumer_details_message.Payload:
    return verify_consumer_details_message.Payload(consumer_id=order.consumer_id)


def ticket_to_create(order: CreateOrderData, step: StepContext) -> create_ticket_message.Payload:
    items = [create_ticket_message.OrderItem(item.name, item.quantity) for item in order.items]
    return create_ticket_message.Payload(order.order_id, customer_id=order.consumer_id, items=items)


def remember_ticket(order: CreateOrderData, reply: create_ticket_message.Response, step: StepContext) -> None:
    order.ticket_id = reply.ticket_id


def ticket_to_reject(order: CreateOrderData, step: StepContext) -> reject_ticket_message.Payload:
    return reject_ticket_message.Payload(ticket_id=order.ticket_id)


def card_to_authorize(order: CreateOrderData, step: StepContext) -> authorize_card_message.Payload:
    for item in order.items:
        if item.quantity == 100_500:
            raise TooManyToDeliver(f"No courier carries {item.quantity} x {item.name}")
    return authorize_card_message.Payload(card_id=order.card_id, amount=order.amount)


def remember_transaction(order: CreateOrderData, reply: authorize_card_message.Response, step: StepContext) -> None:
    order.transaction_id = reply.transaction_id


def authorization_to_void(order: CreateOrderData, step: StepContext) -> void_authorization_message.Payload:
    return void_authorization_message.Payload(transaction_id=order.transaction_id)


def ticket_to_approve(order: CreateOrderData, step: StepContext) -> approve_ticket_message.Payload:
    assert order.ticket_id is not None  # the ticket's step comes first, and remember_ticket with it
    return approve_ticket_message.Payload(ticket_id=order.ticket_id)


def approve_order(order: CreateOrderData, step: StepContext) -> None:
    settle_order(step.session, order.order_id, OrderStatus.APPROVED, order.ticket_id, order.transaction_id)


def reject_order(order: CreateOrderData, step: StepContext) -> None:
    settle_order(step.session, order.order_id, OrderStatus.REJECTED, order.ticket_id, order.transaction_id)


class CreateOrderSaga(Saga[CreateOrderData]):
    response_queue = CREATE_ORDER_SAGA_RESPONSE_QUEUE
    steps = (
        SyncStep("reject_order", compensation=reject_order),
        AsyncStep(
            "verify_consumer_details",
            verify_consumer_details_message.message,
            action=consumer_to_verify,
        ),
        AsyncStep(
            "create_restaurant_ticket",
            create_ticket_message.message,
            action=ticket_to_create,
            on_success=remember_ticket,
            compensation=send(reject_ticket_message.message, ticket_to_reject),
        ),
        AsyncStep(
            "authorize_card",
            authorize_card_message.message,
            action=card_to_authorize,
            on_success=remember_transaction,
            compensation=send(void_authorization_message.message, authorization_to_void),
            kind=PIVOT,
        ),
        AsyncStep(
            "approve_restaurant_ticket",
            approve_ticket_message.message,
            action=ticket_to_approve,
            kind=RETRIABLE,
            retry=RetryPolicy(max_attempts=10, initial_delay_seconds=0.3, max_delay_seconds=30.0),
        ),
        SyncStep("approve_order", action=approve_order),
    )
