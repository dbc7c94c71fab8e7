"""The process that places the orders: `python -m benchmarks.producer '{"pattern": "flood", "sagas": 500, ...}'`.

It warms up, says so with a line, waits for a line, places the orders, and prints what it saw as JSON.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from random import Random

from sqlalchemy import select

from benchmarks.placing import ORDERS, place_together
from benchmarks.workload import Load, Mode, Pattern, Produced
from order_service import launches
from order_service.launches import NewOrder
from order_service.worker import orchestrator
from sagas_framework.storage.database import reading
from sagas_framework.storage.schema import instances

SEED = 1
SECONDS_BETWEEN_LOOKS = 0.01
# A server process of PostgreSQL tells its counts when a transaction ends, but at most once a second.
SECONDS_UNTIL_COUNTS_ARE_TOLD = 1.1


class Producer:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._random = Random(SEED)
        self._looks = 0

    def warm_up(self) -> None:
        warming = [place_together(orchestrator, orders) for orders in self._batches(self._load.warm_up)]
        for saga_ids in warming:
            self._wait_for(saga_ids)
        time.sleep(SECONDS_UNTIL_COUNTS_ARE_TOLD)
        self._wait_for(place_together(orchestrator, self._orders(1)))

    def produce(self) -> Produced:
        self._looks = 0
        cpu_before, began_at = time.process_time(), time.time()
        {Pattern.FLOOD: self._flood, Pattern.STEADY: self._steady, Pattern.ALONE: self._alone}[self._load.pattern]()
        return Produced(began_at, time.time(), time.process_time() - cpu_before, self._looks)

    def _flood(self) -> None:
        if self._load.batch == 1:
            for order in self._orders(self._load.sagas):
                launches.place_order(orchestrator, order)
        else:
            for together in self._batches(self._load.sagas):
                place_together(orchestrator, together)

    def _steady(self) -> None:
        began = time.monotonic()
        for number, order in enumerate(self._orders(self._load.sagas)):
            time.sleep(max(0.0, began + number / self._load.rate - time.monotonic()))
            launches.place_order(orchestrator, order)

    def _alone(self) -> None:
        for order in self._orders(self._load.sagas):
            self._wait_for([launches.place_order(orchestrator, order).saga_id])

    def _orders(self, count: int) -> Iterator[NewOrder]:
        return (ORDERS[self._load.mode](self._random) for _ in range(count))

    def _batches(self, count: int) -> Iterator[Sequence[NewOrder]]:
        orders = self._orders(count)
        while together := list(islice(orders, self._load.batch)):
            yield together

    def _wait_for(self, saga_ids: list[str]) -> None:
        """Reads only, and so seldom that the system does not feel it; when a saga ended, the database says itself."""
        unfinished = select(instances.c.id).where(instances.c.id.in_(saga_ids), instances.c.ended_at.is_(None)).limit(1)
        while True:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            with reading(orchestrator.engine) as connection:
                self._looks += 1
                if connection.execute(unfinished).first() is None:
                    return


def main(load: Load) -> None:
    producer = Producer(load)
    producer.warm_up()
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(asdict(producer.produce())), flush=True)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    main(Load(**{**given, "pattern": Pattern(given["pattern"]), "mode": Mode(given["mode"])}))
