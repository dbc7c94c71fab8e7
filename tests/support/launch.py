"""`python -m tests.support.launch KIND COUNT SEED TOGETHER`: places orders and prints the ids of their sagas.

Of so many TOGETHER each transaction starts the sagas. With more than one it goes on through bad weather: what may have
been committed is placed again under the same idempotency keys.
"""

import sys
import time
from collections.abc import Sequence
from random import Random

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from order_service import launches
from order_service.create_order_saga import CreateOrderData, CreateOrderSaga
from order_service.launches import NewOrder
from order_service.models import Order
from order_service.worker import orchestrator

KINDS = {
    "success": launches.order_that_succeeds,
    "random": launches.any_order,
    "paying": lambda random: random.choice((launches.order_that_succeeds, launches.order_beyond_the_cards_balance))(
        random
    ),
    "card": launches.order_beyond_the_cards_balance,
    "consumer": launches.order_of_suspended_consumer,
    "orchestrator": launches.order_that_breaks_the_orchestrator,
}
MOST_TRIES = 100
PAUSE_SECONDS = 0.1


def place(session: Session, new: NewOrder, key: str) -> str:
    """In a savepoint: a key that was used before takes its second order back, and no other."""
    savepoint = session.begin_nested()
    items = [{"name": item.name, "quantity": item.quantity} for item in new.items]
    order = Order(consumer_id=new.consumer_id, card_id=new.card_id, amount=new.amount, items=items)
    session.add(order)
    session.flush()
    data = CreateOrderData(order.id, new.consumer_id, new.card_id, new.amount, new.items)
    handle = orchestrator.start(CreateOrderSaga, data, session=session, idempotency_key=key)
    if handle.created:
        order.saga_id = handle.saga_id
        savepoint.commit()
    else:
        savepoint.rollback()
    return handle.saga_id


def place_together(orders: Sequence[NewOrder], keys: Sequence[str]) -> list[str]:
    for _ in range(MOST_TRIES):
        try:
            with orchestrator.sessions.begin() as session:
                return [place(session, new, key) for new, key in zip(orders, keys, strict=True)]
        except DBAPIError as error:
            print(f"once more: {error}", file=sys.stderr)
            time.sleep(PAUSE_SECONDS)
    raise SystemExit("the weather does not get better")


def main(kind: str, count: int, seed: int, together: int) -> None:
    random = Random(seed)
    orders = [KINDS[kind](random) for _ in range(count)]
    for first in range(0, count, together):
        batch = orders[first : first + together]
        if together == 1:
            saga_ids = [launches.place_order(orchestrator, batch[0]).saga_id]
        else:
            saga_ids = place_together(batch, [f"{seed} {first + place}" for place in range(len(batch))])
        print("\n".join(saga_ids), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *(int(argument) for argument in sys.argv[2:]))
