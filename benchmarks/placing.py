"""Placing orders of a known kind, one by one or many in one transaction."""

from collections.abc import Iterable
from dataclasses import asdict

from benchmarks.workload import Mode
from order_service import launches
from order_service.create_order_saga import CreateOrderData, CreateOrderSaga
from order_service.launches import NewOrder
from order_service.models import Order
from sagas_framework import Orchestrator

ORDERS = {Mode.FORWARD: launches.order_that_succeeds, Mode.COMPENSATING: launches.order_beyond_the_cards_balance}


def place_together(orchestrator: Orchestrator, orders: Iterable[NewOrder]) -> list[str]:
    """As a busy producer does: many orders and their sagas in one transaction."""
    with orchestrator.sessions() as session:
        placed = [(order, _row(order)) for order in orders]
        session.add_all(row for _, row in placed)
        session.flush()
        for order, row in placed:
            data = CreateOrderData(row.id, order.consumer_id, order.card_id, order.amount, order.items)
            row.saga_id = orchestrator.start(CreateOrderSaga, data, session=session).saga_id
        saga_ids = [row.saga_id for _, row in placed if row.saga_id is not None]
        session.commit()
    return saga_ids


def _row(order: NewOrder) -> Order:
    return Order(
        consumer_id=order.consumer_id,
        card_id=order.card_id,
        amount=order.amount,
        items=[asdict(item) for item in order.items],
    )
