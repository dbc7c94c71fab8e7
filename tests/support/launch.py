"""`python -m tests.support.launch KIND COUNT SEED`: places orders and prints the ids of their sagas."""

import sys
from random import Random

from order_service import launches
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


def main(kind: str, count: int, seed: int) -> None:
    random = Random(seed)
    for _ in range(count):
        print(launches.place_order(orchestrator, KINDS[kind](random)).saga_id, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
