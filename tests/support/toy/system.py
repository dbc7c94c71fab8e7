"""Toy workers as real processes on both set-ups."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text

from local_stack.plan import CHECKOUT
from sagas_framework.storage.database import open_database, reading
from tests.support.own_brokers import own_broker
from tests.support.servers import postgresql_database
from tests.support.workers import Workers

ORCHESTRATOR = "tests.support.toy.orchestrator"
PARTICIPANT = "tests.support.toy.participant"
PARTICIPANT_IN_BATCHES = "tests.support.toy.participant_in_batches"
END_SECONDS = 120.0


class Toy(Workers):
    def launch(self, *data: dict[str, Any], saga: str = "ToySaga") -> None:
        command = [sys.executable, "-m", "tests.support.toy.launch", saga, json.dumps(data)]
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


@contextmanager
def toy_system(kind: str, directory: Path) -> Iterator[Toy]:
    """`embedded`: Redis on a socket and SQLite files; `servers`: RabbitMQ and PostgreSQL."""
    with ExitStack() as stack:
        servers = kind == "servers"
        broker = stack.enter_context(own_broker("rabbitmq" if servers else "redis"))
        urls = {
            name: stack.enter_context(postgresql_database(name.lower())) if servers else f"sqlite:///{directory / name}"
            for name in ("ORCHESTRATOR", "TOY")
        }
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "app_common")]),
            "CELERY_BROKER": broker.url,
            "CELERY_VISIBILITY_TIMEOUT_SECONDS": "2",
            **{f"{name}_DATABASE_URL": url for name, url in urls.items()},
        }
        toy = Toy(environment, directory)
        stack.callback(toy.kill_all)
        yield toy
