"""kill -9 of any worker, the orchestrators and the broker included, under load: nothing is lost, nothing is doubled."""

from pathlib import Path
from random import Random

import pytest

from local_stack.plan import SERVICES
from tests.support.system import System, assert_coherent, running_system

RUNNING_AT_EVERY_KILL = 200
ROUNDS = 2
END_SECONDS = 150.0
WORKERS = [*SERVICES, "order_service#2"]
DAM = "accounting_service"
"""Kept dead while orders are placed, so that their sagas pile up before it."""


@pytest.mark.slow
@pytest.mark.timeout(900)  # a busy machine takes minutes; what hangs fails by the limits inside
@pytest.mark.parametrize(
    "kind", ["embedded", pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql])]
)
def test_every_saga_ends_and_every_order_is_coherent_although_everything_is_killed(kind: str, tmp_path: Path) -> None:
    random = Random(f"{kind} 1")
    kills = launched = 0
    with running_system(kind, tmp_path) as system:
        system.start("order_service#2")
        for number in range(ROUNDS):
            system.kill(DAM)
            launched += len(system.launch("paying", 2 * RUNNING_AT_EVERY_KILL, seed=number))
            launched += len(system.launch("random", 50, seed=100 + number))
            for _ in range(3):
                assert unfinished(system) >= RUNNING_AT_EVERY_KILL
                kill_and_start_again(system, random.choice([worker for worker in WORKERS if worker != DAM]))
                kills += 1
            system.broker.kill()
            launched += len(system.launch("paying", 5, seed=200 + number))  # the page takes orders all the same
            system.broker.start()
            system.start(DAM)
            while unfinished(system) >= RUNNING_AT_EVERY_KILL:  # the dam is open: kill in the flood
                kill_and_start_again(system, random.choice(WORKERS))
                kills += 1
        system.wait_for_the_end(END_SECONDS)

        endings = system.endings()
        assert len(endings) == launched
        assert system.statuses()["needs_attention"] == 0, system.describe_unfinished()
        assert_coherent(endings)
        for service in SERVICES:
            assert system.rows(service, "SELECT task, reason FROM saga_kept_message") == [], "an innocent was kept"
        assert kills > 3 * ROUNDS, "nothing was killed in the flood"


def unfinished(system: System) -> int:
    return system.statuses()["running"] + system.statuses()["compensating"]


def kill_and_start_again(system: System, worker: str) -> None:
    system.kill(worker)
    system.start(worker)
