"""A message that kills its worker every time ends with the operator, and the others of its batch are done."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from local_stack.plan import CHECKOUT
from sagas_framework.storage.database import open_database, reading
from tests.support.own_brokers import own_broker
from tests.support.servers import postgresql_database
from tests.support.workers import Workers

pytestmark = pytest.mark.slow
ORCHESTRATOR = "tests.support.toy.orchestrator"
PARTICIPANT = "tests.support.toy.participant"
INNOCENT = 30
END_SECONDS = 120.0


class Toy(Workers):
    def launch(self, *data: dict[str, Any]) -> None:
        command = [sys.executable, "-m", "tests.support.toy.launch", json.dumps(data)]
        subprocess.run(command, cwd=CHECKOUT, env=self.environment, check=True)

    def rows(self, name: str, statement: str) -> list[Any]:
        engine = open_database(self.environment[f"{name}_DATABASE_URL"])
        with reading(engine) as connection:
            rows = list(connection.execute(text(statement)).all())
        engine.dispose()
        return rows

    def statuses(self) -> Counter[str]:
        rows = self.rows("ORCHESTRATOR", "SELECT status, count(*) FROM saga_instance GROUP BY status")
        return Counter({status: count for status, count in rows})

    def restart_whenever_it_dies_until_something_is_kept(self, worker: str, name: str) -> int:
        """What a process manager does; gives the number of deaths."""
        deaths = 0

        def kept() -> bool:
            nonlocal deaths
            if not self.is_alive(worker):
                self.wait_for_death(worker)
                deaths += 1
                self.start(worker, wait=False)
            return len(self.rows(name, "SELECT id FROM saga_kept_message")) > 0

        self.wait_until(kept, END_SECONDS, self.all_logs)
        return deaths


@pytest.fixture(params=["embedded", pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql])])
def toy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Toy]:
    with ExitStack() as stack:
        servers = request.param == "servers"
        broker = stack.enter_context(own_broker("rabbitmq" if servers else "redis"))
        urls = {
            name: stack.enter_context(postgresql_database(name.lower())) if servers else f"sqlite:///{tmp_path / name}"
            for name in ("ORCHESTRATOR", "TOY")
        }
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "app_common")]),
            "CELERY_BROKER": broker.url,
            "CELERY_VISIBILITY_TIMEOUT_SECONDS": "2",
            **{f"{name}_DATABASE_URL": url for name, url in urls.items()},
        }
        workers = Toy(environment, tmp_path)
        stack.callback(workers.kill_all)
        yield workers


def data_with_one_bad(**bad: bool) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = [{"number": number} for number in range(INNOCENT)]
    data[INNOCENT // 2].update(bad)
    return data


def test_a_reply_that_kills_the_orchestrator_is_kept_and_the_others_of_its_batch_are_done(toy: Toy) -> None:
    """Design rule 11."""
    toy.launch(*data_with_one_bad(kill_orchestrator=True))
    toy.start(PARTICIPANT)
    toy.wait_until(
        lambda: (
            toy.rows("TOY", "SELECT count(*) FROM saga_participant_memory WHERE outcome IS NOT NULL") == [(INNOCENT,)]
        ),
        END_SECONDS,
        toy.all_logs,
    )  # all replies wait in the queue: the orchestrator gets them as one batch
    toy.start(ORCHESTRATOR, wait=False)
    deaths = toy.restart_whenever_it_dies_until_something_is_kept(ORCHESTRATOR, "ORCHESTRATOR")
    assert deaths <= 5
    toy.wait_until(lambda: toy.statuses()["succeeded"] == INNOCENT - 1, END_SECONDS, toy.all_logs)
    assert toy.statuses()["running"] == 1
    [(reason, task)] = toy.rows("ORCHESTRATOR", "SELECT reason, task FROM saga_kept_message")
    assert "killed its worker" in reason
    assert task == "toy.work.response.success"


def test_a_command_that_kills_its_participant_is_parked_and_the_others_are_done(toy: Toy) -> None:
    """Design rule 11; the others are not counted, for a suspect runs alone."""
    toy.launch(*data_with_one_bad(kill_handler=True))
    toy.start(ORCHESTRATOR)
    toy.start(PARTICIPANT, wait=False)
    deaths = toy.restart_whenever_it_dies_until_something_is_kept(PARTICIPANT, "TOY")
    assert deaths <= 5
    toy.wait_until(lambda: toy.statuses()["succeeded"] == INNOCENT - 1, END_SECONDS, toy.all_logs)
    assert toy.is_alive(PARTICIPANT)
    assert toy.rows("TOY", "SELECT count(*) FROM saga_kept_message") == [(1,)]
    assert toy.rows("TOY", "SELECT count(*) FROM saga_participant_memory WHERE parked") == [(1,)]
