"""The order flow in both forms: how many messages an order is, how long it takes. `python -m benchmarks.choreography`

Redis and SQLite, started for the occasion; one order after the other, so that nothing is batched. Messages are what
Redis was asked to push (`INFO commandstats`); the time runs from the first commit until the last one is seen.
The figures of docs/howto/choreograph-without-an-orchestrator.md.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from redis import Redis
from sqlalchemy import select

from local_stack.messages import Console
from local_stack.plan import CHECKOUT, SERVICES, Plan, in_this_interpreter, plan_of
from local_stack.redis_server import socket_path
from local_stack.stack import running
from sagas_framework import reading_session
from sagas_framework.storage.schema import instances

ORDERS = 50
LONGEST_SECONDS = 600.0
SETTLED_SECONDS = 15.0
"""After so long without a message none is to come: neither a receipt, nor anything that is sent again."""

HasEnded = Callable[[], bool]


def choreographed(amount: int) -> HasEnded:
    from examples.order_choreography.orders.place import place_order
    from examples.order_choreography.show import order, ticket

    order_id = place_order(50, "Ramen", amount)
    return lambda: order(order_id) != "pending" and ticket(order_id) != "created"


def orchestrated(amount: int) -> HasEnded:
    from order_service.launches import NewOrder, place_order
    from order_service.models import OrderItem
    from order_service.worker import orchestrator

    handle = place_order(orchestrator, NewOrder(50, 5994, amount, [OrderItem("Ramen", 1)]))
    status = select(instances.c.status).where(instances.c.id == handle.saga_id)

    def has_ended() -> bool:
        with reading_session(orchestrator.engine) as session:
            return session.scalar(status) in ("succeeded", "failed")

    return has_ended


FORMS: Mapping[str, Callable[[int], HasEnded]] = {"choreographed": choreographed, "orchestrated": orchestrated}


def plan_for(form: str, state: Path) -> Plan:
    environ = {name: value for name, value in os.environ.items() if name != "CELERY_BROKER"}
    packages = [f"examples.order_choreography.{name}" for name in ("orders", "consumers", "restaurant", "accounting")]
    services = packages if form == "choreographed" else SERVICES
    return plan_of(services, CHECKOUT, state, {**environ, "RESTAURANT_SERVICE_TRANSIENT_APPROVALS": "0"})


def measure(form: str, redis: Redis) -> None:
    """Runs beside the workers."""
    for what, amount in (("approved", 20), ("refused by the card", 70)):
        seconds_of_one(form, amount)  # what is imported and connected for the first time is nobody's latency
        pushed = pushed_when_quiet(redis)
        seconds = [seconds_of_one(form, amount) for _ in range(ORDERS)]
        messages = (pushed_when_quiet(redis) - pushed) / ORDERS
        ordered = sorted(seconds)
        print(
            f"{form}, {what}: {messages:.2f} messages an order; median {statistics.median(seconds) * 1000:.0f} ms, "
            f"90 % within {ordered[int(ORDERS * 0.9) - 1] * 1000:.0f} ms",
            flush=True,
        )


def seconds_of_one(form: str, amount: int) -> float:
    has_ended = FORMS[form](amount)
    begun = time.perf_counter()
    while not has_ended():
        time.sleep(0.001)
    seconds = time.perf_counter() - begun
    time.sleep(Random().uniform(0.3, 0.5))  # at another place of the workers' rounds each time, and after the receipts
    return seconds


def pushed_when_quiet(redis: Redis) -> int:
    seen, since = pushed(redis), time.monotonic()
    while time.monotonic() - since < SETTLED_SECONDS:
        time.sleep(0.1)
        if (now := pushed(redis)) != seen:
            seen, since = now, time.monotonic()
    return seen


def pushed(redis: Redis) -> int:
    statistics_of_commands = redis.info("commandstats")
    assert isinstance(statistics_of_commands, dict)
    return int(statistics_of_commands["cmdstat_lpush"]["calls"])


def run(form: str) -> None:
    state = Path(tempfile.mkdtemp(prefix="sagas-"))
    try:
        with running(plan_for(form, state), Console(sys.stderr), show_output=False) as supervisor:
            command = ["python", "-m", "benchmarks.choreography", form, str(state)]
            supervisor.run_in_front(form, in_this_interpreter(command), LONGEST_SECONDS)
    finally:
        shutil.rmtree(state)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(sys.argv[1], Redis(unix_socket_path=str(socket_path(Path(sys.argv[2])))))
    else:
        for form in FORMS:
            run(form)
