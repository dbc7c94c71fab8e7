"""Whether a run did what it was to do: a fast system that loses an order is not fast."""

from collections import Counter

from benchmarks.workload import BenchmarkFailed, Mode
from local_stack.plan import SERVICES
from order_service.models import OrderStatus
from tests.support.system import System, assert_coherent

ENDS = {
    Mode.FORWARD: ("succeeded", OrderStatus.APPROVED),
    Mode.COMPENSATING: ("failed", OrderStatus.REJECTED),
}


def placed_orders(system: System) -> int:
    ((count,),) = system.rows("order_service", "SELECT count(*) FROM orders")
    return int(count)


def require_right_endings(system: System, mode: Mode, expected: int) -> None:
    """Every order that was ever placed has ended in the one way it can, in all services; no operator has work."""
    saga_status, order_status = ENDS[mode]
    try:
        endings = system.endings()
        assert_coherent(endings)
    except AssertionError as error:
        raise BenchmarkFailed(f"the services do not agree: {error}") from error
    found = Counter((ending.saga_status, ending.order_status) for ending in endings)
    if found != {(saga_status, order_status.value): expected}:
        raise BenchmarkFailed(f"{expected} sagas should be {saga_status}, their orders {order_status}: {found}")
    for service in SERVICES:
        ((kept,),) = system.rows(service, "SELECT count(*) FROM saga_kept_message")
        if kept:
            raise BenchmarkFailed(f"{service} keeps {kept} messages for the operator")
