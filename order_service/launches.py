"""The five launches of the homepage: each places an order and starts its saga, in one transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from order_service.create_order_saga import CreateOrderData, CreateOrderSaga
from order_service.models import Order, OrderItem, OrderStatus
from sagas_framework import Orchestrator, SagaHandle

SUSPENDED_CONSUMERS = (1, 49)
ACTIVE_CONSUMERS = (50, 100)
CARDS = (1000, 9999)
AMOUNTS_WITHIN_BALANCE = (8, 49)
AMOUNTS_BEYOND_BALANCE = (50, 90)
QUANTITIES = (1, 3)
QUANTITY_THAT_BREAKS_THE_ORCHESTRATOR = 100_500
DISHES = ("Margherita", "Pad Thai", "Falafel bowl", "Dal makhani", "Ramen", "Caesar salad", "Tiramisu")


@dataclass(frozen=True)
class NewOrder:
    """What a customer asks for."""

    consumer_id: int
    card_id: int
    amount: int
    items: list[OrderItem]


@dataclass(frozen=True)
class Launch:
    """One button of the homepage."""

    path: str
    title: str
    outcome: str
    ends: OrderStatus | None
    """How the order ends; None when that is left to chance."""
    order: Callable[[Random], NewOrder]


def place_order(
    orchestrator: Orchestrator, order: NewOrder, idempotency_key: str | None = None
) -> SagaHandle[CreateOrderData]:
    """The order and its saga: both are there afterwards, or neither.

    A repeated key places no second order; it leads to the saga of the first.
    """
    with orchestrator.sessions() as session:
        row = Order(
            consumer_id=order.consumer_id,
            card_id=order.card_id,
            amount=order.amount,
            items=[{"name": item.name, "quantity": item.quantity} for item in order.items],
        )
        session.add(row)
        session.flush()
        data = CreateOrderData(row.id, order.consumer_id, order.card_id, order.amount, order.items)
        handle = orchestrator.start(CreateOrderSaga, data, session=session, idempotency_key=idempotency_key)
        if handle.created:
            row.saga_id = handle.saga_id
            session.commit()
        else:
            session.rollback()  # the first request with this key has placed the order
    return handle


def order_that_succeeds(random: Random) -> NewOrder:
    return _order(random, ACTIVE_CONSUMERS, AMOUNTS_WITHIN_BALANCE)


def order_of_suspended_consumer(random: Random) -> NewOrder:
    return _order(random, SUSPENDED_CONSUMERS, AMOUNTS_WITHIN_BALANCE)


def order_that_breaks_the_orchestrator(random: Random) -> NewOrder:
    """The orchestrator raises when the ticket is already there, so that there is something to undo."""
    items = [OrderItem(random.choice(DISHES), QUANTITY_THAT_BREAKS_THE_ORCHESTRATOR)]
    return _order(random, ACTIVE_CONSUMERS, AMOUNTS_WITHIN_BALANCE, items)


def order_beyond_the_cards_balance(random: Random) -> NewOrder:
    return _order(random, ACTIVE_CONSUMERS, AMOUNTS_BEYOND_BALANCE)


def any_order(random: Random) -> NewOrder:
    kinds = (
        order_that_succeeds,
        order_of_suspended_consumer,
        order_that_breaks_the_orchestrator,
        order_beyond_the_cards_balance,
    )
    return random.choice(kinds)(random)


def _order(
    random: Random, consumers: tuple[int, int], amounts: tuple[int, int], items: list[OrderItem] | None = None
) -> NewOrder:
    if items is None:
        dishes = random.sample(DISHES, k=random.randint(1, 2))
        items = [OrderItem(dish, random.randint(*QUANTITIES)) for dish in dishes]
    return NewOrder(random.randint(*consumers), random.randint(*CARDS), random.randint(*amounts), items)


LAUNCHES = (
    Launch(
        path="/run-success-saga",
        title="Everything works",
        outcome="Every service agrees, and the order is approved.",
        ends=OrderStatus.APPROVED,
        order=order_that_succeeds,
    ),
    Launch(
        path="/run-saga-failing-on-consumer-verification-because-of-incorrect-id",
        title="Consumer is refused",
        outcome="The consumer is suspended. The order is rejected before anything else is done.",
        ends=OrderStatus.REJECTED,
        order=order_of_suspended_consumer,
    ),
    Launch(
        path="/run-saga-failing-on-card-authorization",
        title="Card is refused",
        outcome="The balance is too low. The restaurant's ticket is taken back and the order rejected.",
        ends=OrderStatus.REJECTED,
        order=order_beyond_the_cards_balance,
    ),
    Launch(
        path="/run-saga-where-orchestrator-code-fails",
        title="The orchestrator fails",
        outcome="An exception in the order service's own code. The ticket is taken back all the same.",
        ends=OrderStatus.REJECTED,
        order=order_that_breaks_the_orchestrator,
    ),
    Launch(
        path="/run-random-saga",
        title="Surprise me",
        outcome="One of the others, drawn by lot.",
        ends=None,
        order=any_order,
    ),
)
