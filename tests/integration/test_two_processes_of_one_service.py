"""A service with two processes and one database: what comes back finds the one that can read it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from local_stack.plan import CHECKOUT
from sagas_framework import upgrade_database
from sagas_framework.storage.database import open_database, reading
from sagas_framework.storage.schema import event_inbox, instances, kept_messages, outbox, participant_memory
from tests.support.own_brokers import own_broker
from tests.support.servers import postgresql_database
from tests.support.workers import Workers

pytestmark = pytest.mark.slow
WARD, OFFICE = "tests.support.clinic.ward", "tests.support.clinic.office"
PATIENTS = 60
END_SECONDS = 120.0


class Clinic(Workers):
    def __init__(self, environment: dict[str, str], logs: Path) -> None:
        super().__init__(environment, logs)
        self.engine: Engine = open_database(environment["CLINIC_DATABASE_URL"])
        upgrade_database(self.engine)

    def admit(self, count: int) -> None:
        command = [sys.executable, "-m", WARD, str(count)]
        subprocess.run(command, cwd=CHECKOUT, env=self.environment, check=True)

    def count(self, table: Any, *where: Any) -> int:
        with reading(self.engine) as connection:
            return connection.scalar(select(func.count()).select_from(table).where(*where)) or 0

    def ended(self) -> int:
        return self.count(instances, instances.c.status == "ended")

    def under_way(self) -> int:
        return self.count(outbox) + self.count(event_inbox)

    def state(self) -> str:
        return f"{self.ended()} {self.under_way()} {self.count(kept_messages)}{self.all_logs()}"


@pytest.fixture(params=["embedded", pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql])])
def clinic(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Clinic]:
    servers = request.param == "servers"
    with ExitStack() as stack:
        broker = stack.enter_context(own_broker("rabbitmq" if servers else "redis"))
        url = stack.enter_context(postgresql_database("clinic")) if servers else f"sqlite:///{tmp_path / 'clinic'}"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "app_common")]),
            "CELERY_BROKER": broker.url,
            "CELERY_VISIBILITY_TIMEOUT_SECONDS": "2",
            "CLINIC_DATABASE_URL": url,
        }
        clinic = Clinic(environment, tmp_path)
        stack.callback(clinic.engine.dispose)
        stack.callback(clinic.kill_all)
        yield clinic


def test_answers_to_process_managers_and_receipts_do_not_get_into_each_others_way(clinic: Clinic) -> None:
    def settled(patients: int) -> bool:
        return clinic.ended() == patients and not clinic.under_way()

    clinic.start(OFFICE)
    clinic.admit(PATIENTS)
    clinic.wait_until(lambda: clinic.count(instances) == PATIENTS, END_SECONDS, clinic.all_logs)
    clinic.kill(OFFICE)
    clinic.start(WARD)  # alone: whatever it may take of what comes back, it takes now
    clinic.wait_until(lambda: clinic.count(participant_memory) == PATIENTS, END_SECONDS, clinic.all_logs)
    clinic.start(OFFICE)
    clinic.wait_until(lambda: settled(PATIENTS), END_SECONDS, clinic.state)
    clinic.admit(PATIENTS)
    clinic.wait_until(lambda: settled(2 * PATIENTS), END_SECONDS, clinic.state)
    assert clinic.count(kept_messages) == 0
