"""A process that starts a saga and waits for its end, while real workers carry it there."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_stack.plan import CHECKOUT
from tests.support.toy.system import ORCHESTRATOR, PARTICIPANT, Toy, toy_system

pytestmark = pytest.mark.slow


@pytest.fixture(params=["embedded", pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql])])
def toy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Toy]:
    with toy_system(request.param, tmp_path) as toy:
        toy.launch()
        toy.start(ORCHESTRATOR)
        toy.start(PARTICIPANT)
        yield toy


def run(toy: Toy, saga: str, number: int, key: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.support.toy.run", saga, json.dumps({"number": number}), key]
    done = subprocess.run(command, cwd=CHECKOUT, env=toy.environment, check=True, stdout=subprocess.PIPE)
    execution: dict[str, Any] = json.loads(done.stdout)
    return execution


def test_whoever_runs_a_saga_gets_its_end_and_its_data(toy: Toy) -> None:
    execution = run(toy, "ToySaga", 1, "one")
    assert (execution["status"], execution["data"]["number"], execution["created"]) == ("succeeded", 1, True)
    repeated = run(toy, "ToySaga", 2, "one")
    assert repeated == execution | {"created": False}


def test_whoever_runs_a_saga_that_is_rolled_back_is_told_why(toy: Toy) -> None:
    execution = run(toy, "UnawaitedSaga", 1, "one")
    assert (execution["status"], execution["failed_step"]) == ("failed", "refuse")
    assert (execution["failure"]["type"], execution["failure"]["message"]) == ("ValueError", "1 is refused")
