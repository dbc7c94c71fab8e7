"""Full load, whose sagas are started many to a transaction, while everything is stopped, restarted or disconnected."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from local_stack.plan import SERVICES
from tests.support.system import System, assert_coherent, running_system

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # what hangs fails by the limits inside
KINDS = [
    pytest.param("embedded", marks=pytest.mark.long),
    pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql]),
]
ORDERS = 400
TOGETHER = 25
FIRST_STEP = "verify_consumer_details"
MOVING = 40
"""So many sagas end between two blows: batches gather on every queue by then."""
ROUNDS = 4
END_SECONDS = 150.0
NO_ASKING_AGAIN = {"ORDER_SERVICE_ASK_AGAIN_AFTER_SECONDS": "600", "RESTAURANT_SERVICE_TRANSIENT_APPROVALS": "0"}


@contextmanager
def flood(system: System, kind: str, *, seed: int) -> Iterator[Future[list[str]]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(system.launch, kind, ORDERS, seed=seed, together=TOGETHER)


def wait_until_it_flows(system: System) -> None:
    before = system.ended()
    system.wait_until(
        lambda: system.ended() >= before + MOVING or (system.statuses().total() >= ORDERS and not system.unfinished()),
        END_SECONDS,
        system.describe_unfinished,
    )


def assert_all_ended_well(system: System, placed: list[str]) -> None:
    system.wait_for_the_end(END_SECONDS)
    endings = system.endings()
    assert len(set(placed)) == len(endings) == ORDERS
    assert system.statuses()["needs_attention"] == 0, system.describe_unfinished()
    assert_coherent(endings)
    for service in SERVICES:
        assert system.rows(service, "SELECT task, reason FROM saga_kept_message") == [], "an innocent was kept"


@pytest.mark.parametrize("kind", KINDS)
def test_a_warm_shutdown_of_every_worker_under_full_load_loses_nothing(kind: str, tmp_path: Path) -> None:
    """Asking again is set to ten minutes: what was gathered and not begun must have gone back to the broker.

    (Two seconds after the start the due loop sends a first command once more if there is no answer yet, come what may.)
    """
    stopped_in_the_flood = 0
    with running_system(kind, tmp_path, extra=NO_ASKING_AGAIN) as system, flood(system, "random", seed=11) as placing:
        for _ in range(ROUNDS):
            wait_until_it_flows(system)
            assert set(system.stop_all().values()) == {0}, system.all_logs()
            stopped_in_the_flood += system.unfinished() > 0
            system.start_all()
        for service in SERVICES:
            wait_until_it_flows(system)
            assert system.stop(service) == 0
            system.start(service)
        assert_all_ended_well(system, placing.result(END_SECONDS))
        asked_again = system.rows(
            "order_service",
            "SELECT DISTINCT step FROM saga_history WHERE event = 'asked_again' AND step <> :first",
            first=FIRST_STEP,
        )
        assert asked_again == [], "it was asked again what had been lost"
        for service in SERVICES:
            assert "Traceback" not in system.log(service)
    assert stopped_in_the_flood >= 2, "nothing was stopped in the flood"


@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_ends_coherently_although_broker_and_databases_are_lost_again_and_again(
    kind: str, tmp_path: Path
) -> None:
    random = Random(f"{kind} 2")
    struck_in_the_flood = 0
    with running_system(kind, tmp_path) as system, flood(system, "random", seed=12) as placing:
        for _ in range(ROUNDS):
            wait_until_it_flows(system)
            struck_in_the_flood += system.unfinished() > 0
            blows = ["broker", "databases"] if system.is_on_postgresql else ["broker"]
            for blow in random.sample(blows, len(blows)):
                if blow == "databases":
                    system.disconnect_everybody()
                else:
                    system.broker.kill()
                    system.broker.start()
            if system.is_on_postgresql:
                system.disconnect_everybody()
        assert_all_ended_well(system, placing.result(END_SECONDS))
        for service in SERVICES:
            assert system.is_alive(service), system.log(service)
    assert struck_in_the_flood >= 2, "nothing was struck in the flood"
