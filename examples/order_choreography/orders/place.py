"""Placing an order: the row and the event, in one transaction."""

from examples.order_choreography.events import OrderPlaced
from examples.order_choreography.orders.models import Order
from examples.order_choreography.orders.worker import subscriber


def place_order(consumer_id: int, dish: str, amount: int, card_id: int = 5994) -> int:
    with subscriber.sessions.begin() as session:
        order = Order()
        session.add(order)
        session.flush()  # the database gives the id
        subscriber.publish(OrderPlaced(order.id, consumer_id, dish, card_id, amount), session=session)
        return order.id
