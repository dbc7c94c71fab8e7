from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from messaging.accounting_service_messaging import authorize_card_message, void_authorization_message
from messaging.restaurant_service_messaging import create_ticket_message, reject_ticket_message
from order_service import create_order_saga as saga
from order_service import launches, prepare_database
from order_service.models import Order, OrderIsNotPending, OrderItem
from sagas_framework import StepContext
from tests.services.doubles import SAGA_ID

DATA = saga.CreateOrderData(order_id=1, consumer_id=73, card_id=4711, amount=20, items=[OrderItem("Ramen", 2)])


@pytest.fixture
def create_tables() -> Callable[[Engine], None]:
    return prepare_database.prepare


@pytest.fixture
def step(session: Session) -> StepContext:
    session.add(Order(id=1, consumer_id=73, card_id=4711, amount=20, items=[]))
    session.flush()
    return StepContext(saga_id=SAGA_ID, step="a_step", attempt=1, session=session)


def test_the_steps_stand_in_the_order_in_which_they_are_done() -> None:
    assert [step.name for step in saga.CreateOrderSaga.steps] == [
        "reject_order",
        "verify_consumer_details",
        "create_restaurant_ticket",
        "authorize_card",
        "approve_restaurant_ticket",
        "approve_order",
    ]


def test_what_the_others_answered_is_remembered_for_those_who_need_it(step: StepContext) -> None:
    order = replace(DATA)
    saga.remember_ticket(order, create_ticket_message.Response(ticket_id=9), step)
    saga.remember_transaction(order, authorize_card_message.Response(transaction_id="t-1"), step)
    assert saga.ticket_to_approve(order, step).ticket_id == 9
    assert saga.ticket_to_reject(order, step).ticket_id == 9
    assert saga.authorization_to_void(order, step).transaction_id == "t-1"


def test_what_was_never_answered_is_undone_without_its_id(step: StepContext) -> None:
    assert saga.ticket_to_reject(DATA, step) == reject_ticket_message.Payload(ticket_id=None)
    assert saga.authorization_to_void(DATA, step) == void_authorization_message.Payload(transaction_id=None)


def test_a_quantity_that_no_courier_carries_breaks_the_orchestrators_own_code(step: StepContext) -> None:
    order = replace(DATA, items=[OrderItem("Ramen", 100_500)])
    assert saga.ticket_to_create(order, step).items[0].quantity == 100_500, "the ticket comes first"
    with pytest.raises(saga.TooManyToDeliver, match="100500 x Ramen"):
        saga.card_to_authorize(order, step)


def test_an_approved_order_keeps_its_ticket_and_its_transaction(step: StepContext) -> None:
    saga.approve_order(replace(DATA, ticket_id=9, transaction_id="t-1"), step)
    order = step.session.get_one(Order, 1)
    assert (order.status, order.restaurant_ticket_id, order.transaction_id) == ("approved", 9, "t-1")


def test_a_rejected_order_keeps_what_it_was_given_on_the_way(step: StepContext) -> None:
    saga.reject_order(replace(DATA, ticket_id=9), step)
    order = step.session.get_one(Order, 1)
    assert (order.status, order.restaurant_ticket_id, order.transaction_id) == ("rejected", 9, None)


def test_an_orders_last_word_is_said_once(step: StepContext) -> None:
    saga.reject_order(DATA, step)
    with pytest.raises(OrderIsNotPending, match="Order 1 "):
        saga.approve_order(DATA, step)


def test_an_order_that_is_not_there_cannot_be_approved(step: StepContext) -> None:
    with pytest.raises(OrderIsNotPending, match="Order 404 "):
        saga.approve_order(replace(DATA, order_id=404), step)


@pytest.mark.parametrize("seed", range(30))
def test_each_launch_places_the_order_that_its_button_promises(seed: int) -> None:
    def broken(order: launches.NewOrder) -> bool:
        return any(item.quantity == 100_500 for item in order.items)

    good = launches.order_that_succeeds(Random(seed))
    assert 50 <= good.consumer_id <= 100 and 0 < good.amount < 50 and not broken(good)

    suspended = launches.order_of_suspended_consumer(Random(seed))
    assert 1 <= suspended.consumer_id < 50

    poor = launches.order_beyond_the_cards_balance(Random(seed))
    assert 50 <= poor.consumer_id <= 100 and poor.amount >= 50 and not broken(poor)

    impossible = launches.order_that_breaks_the_orchestrator(Random(seed))
    assert 50 <= impossible.consumer_id <= 100 and impossible.amount < 50 and broken(impossible)

    kinds = (good, suspended, poor, impossible)
    assert launches.any_order(Random(seed)).items
    assert all(item.quantity >= 1 for order in kinds for item in order.items)
