"""Four people order. Runs beside the workers: `python -m examples.order_choreography`.

Nobody can be asked how far an order is. This looks into three databases, and knows from the flow when to stop looking.
"""

import time

from examples.order_choreography.accounting.models import Authorization
from examples.order_choreography.accounting.worker import subscriber as accounting
from examples.order_choreography.orders.models import Order, OrderStatus
from examples.order_choreography.orders.place import place_order
from examples.order_choreography.orders.worker import subscriber as orders
from examples.order_choreography.restaurant.models import Ticket, TicketStatus
from examples.order_choreography.restaurant.worker import subscriber as restaurant
from sagas_framework import reading_session

LONGEST_WAIT_SECONDS = 60.0


def main() -> None:
    for consumer_id, dish, amount in ((50, "Ramen", 20), (7, "Ramen", 20), (50, "Fried ice", 20), (50, "Pad Thai", 60)):
        order_id = place_order(consumer_id, dish, amount)
        print(f"Consumer {consumer_id} orders {dish} for {amount}")
        wait_until_everything_is_said(order_id)
        print(f"    order:         {order(order_id)}")
        print(f"    ticket:        {ticket(order_id) or 'none'}")
        print(f"    authorization: {authorization(order_id) or 'none'}")


def order(order_id: int) -> str:
    with reading_session(orders.engine) as session:
        found = session.get_one(Order, order_id)
        return f"{found.status} ({found.why})" if found.why else found.status


def ticket(order_id: int) -> str | None:
    with reading_session(restaurant.engine) as session:
        found = session.get(Ticket, order_id)
        return found.status if found else None


def authorization(order_id: int) -> int | None:
    with reading_session(accounting.engine) as session:
        found = session.get(Authorization, order_id)
        return found.amount if found else None


def wait_until_everything_is_said(order_id: int) -> None:
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while order(order_id) == OrderStatus.PENDING or ticket(order_id) == TicketStatus.CREATED:
        if time.monotonic() > deadline:
            raise SystemExit(f"order {order_id} has got stuck somewhere: order {order(order_id)}, {ticket(order_id)}")
        time.sleep(0.02)


if __name__ == "__main__":
    main()
