"""kill -9 of any worker, the orchestrators and the broker included, under load: nothing is lost, nothing is doubled."""

from pathlib import Path
from random import Random

import pytest

from local_stack.plan import SERVICES
from tests.support.system import System, assert_coherent, running_system

SAGAS_IN_FLIGHT = 200
ROUNDS = 4
KILLS_PER_ROUND = 5
END_SECONDS = 150.0
WORKERS = [*SERVICES, "order_service#2"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["embedded", pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql])]
)
def test_every_saga_ends_and_every_order_is_coherent_although_everything_is_killed(kind: str, tmp_path: Path) -> None:
    random = Random(f"{kind} 1")
    with running_system(kind, tmp_path) as system:
        system.start("order_service#2")
        launched = 0
        for number in range(ROUNDS):
            launched += len(system.launch("random", SAGAS_IN_FLIGHT, seed=number))
            for _ in range(KILLS_PER_ROUND):
                kill_and_start_again(system, random.choice(WORKERS))
            system.broker.kill()
            launched += len(system.launch("random", 5, seed=100 + number))  # the page takes orders all the same
            system.broker.start()
        system.wait_for_the_end(END_SECONDS)

        endings = system.endings()
        assert len(endings) == launched
        assert system.statuses()["needs_attention"] == 0, system.describe_unfinished()
        assert_coherent(endings)


def kill_and_start_again(system: System, worker: str) -> None:
    system.kill(worker)
    system.start(worker)
