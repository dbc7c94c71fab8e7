"""The four services as real processes, to be killed and started again by a test."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from local_stack.plan import CHECKOUT, SERVICES, in_this_interpreter, preparation_command, worker_command
from sagas_framework.storage.database import open_database, reading
from tests.support.own_brokers import OwnBroker, own_broker
from tests.support.servers import postgresql_database

READY_SECONDS = 60.0
UNFINISHED = ("running", "compensating")


@dataclass(frozen=True)
class Ending:
    """What the databases say of one order once its saga has ended."""

    saga_id: str
    saga_status: str
    order_status: str
    tickets: Counter[str]
    authorizations: Counter[str]


class System:
    """`start`, `kill` and `stop` name workers: a service, with `#2` and so on for a second one of it."""

    def __init__(self, broker: OwnBroker, databases: Mapping[str, str], logs: Path, extra: Mapping[str, str]) -> None:
        self.broker = broker
        self.databases = databases
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("CELERY_")},
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "app_common")]),
            "CELERY_BROKER": broker.url,
            "CELERY_VISIBILITY_TIMEOUT_SECONDS": "3",
            "ORDER_SERVICE_ASK_AGAIN_AFTER_SECONDS": "2",
            "RESTAURANT_SERVICE_TRANSIENT_APPROVALS": "1",
            **{f"{service.upper()}_DATABASE_URL": url for service, url in databases.items()},
            **extra,
        }
        self._logs = logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._engines: dict[str, Engine] = {}

    def engine(self, service: str) -> Engine:
        if service not in self._engines:
            self._engines[service] = open_database(self.databases[service])
        return self._engines[service]

    def prepare(self) -> None:
        for service in SERVICES:
            subprocess.run(
                in_this_interpreter(preparation_command(service)), cwd=CHECKOUT, env=self.environment, check=True
            )

    def start(self, worker: str, *, wait: bool = True, extra: Mapping[str, str] | None = None) -> None:
        log = self._log(worker)
        log.touch()
        seen = log.read_text().count(" ready.")
        with log.open("ab") as output:
            self._processes[worker] = subprocess.Popen(
                in_this_interpreter(worker_command(worker.partition("#")[0])),
                cwd=CHECKOUT,
                env={**self.environment, **(extra or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        if wait:
            self.wait_until(lambda: log.read_text().count(" ready.") > seen, READY_SECONDS, lambda: self.log(worker))

    def kill(self, worker: str) -> None:
        process = self._processes.pop(worker)
        process.kill()
        process.wait()

    def stop(self, worker: str, timeout_seconds: float = 30.0) -> int:
        process = self._processes.pop(worker)
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout_seconds)

    def wait_for_death(self, worker: str, timeout_seconds: float = READY_SECONDS) -> int:
        return self._processes.pop(worker).wait(timeout_seconds)

    def is_alive(self, worker: str) -> bool:
        return worker in self._processes and self._processes[worker].poll() is None

    def close(self) -> None:
        for worker in list(self._processes):
            self.kill(worker)
        for engine in self._engines.values():
            engine.dispose()

    def log(self, worker: str) -> str:
        return self._log(worker).read_text()

    def _log(self, worker: str) -> Path:
        return self._logs / f"{worker}.log"

    # ---- launching and looking --------------------------------------------------------------------------------

    def launch(self, kind: str, count: int = 1, *, seed: int = 0) -> list[str]:
        """Places orders in a process of its own, as the page does; gives the ids of their sagas."""
        result = subprocess.run(
            [sys.executable, "-m", "tests.support.launch", kind, str(count), str(seed)],
            cwd=CHECKOUT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.split()

    def rows(self, service: str, statement: str, **parameters: Any) -> list[Any]:
        with reading(self.engine(service)) as connection:
            return list(connection.execute(text(statement), parameters).all())

    def statuses(self) -> Counter[str]:
        rows = self.rows("order_service", "SELECT status, count(*) FROM saga_instance GROUP BY status")
        return Counter({status: count for status, count in rows})

    def wait_for_the_end(self, timeout_seconds: float = READY_SECONDS) -> None:
        def ended() -> bool:
            return not any(self.statuses()[status] for status in UNFINISHED)

        self.wait_until(ended, timeout_seconds, self.describe_unfinished)

    def describe_unfinished(self) -> str:
        rows = self.rows(
            "order_service",
            "SELECT id, status, current_step, state, wake_at FROM saga_instance WHERE wake_at IS NOT NULL LIMIT 5",
        )
        logs = "".join(f"\n--- {worker}\n{self.log(worker)[-3000:]}" for worker in self._processes)
        return f"{self.statuses()} {rows}{logs}"

    @staticmethod
    def wait_until(condition: Callable[[], bool], timeout_seconds: float, explain: Callable[[], str]) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            assert time.monotonic() < deadline, explain()
            time.sleep(0.05)

    def endings(self) -> list[Ending]:
        tickets = self._by_saga("restaurant_service", "SELECT saga_id, status FROM tickets")
        authorizations = self._by_saga("accounting_service", "SELECT saga_id, status FROM card_authorizations")
        orders = self.rows("order_service", "SELECT saga_id, status FROM orders")
        sagas = {
            str(saga_id).replace("-", ""): status
            for saga_id, status in self.rows("order_service", "SELECT id, status FROM saga_instance")
        }
        return [
            Ending(
                saga_id,
                sagas[saga_id.replace("-", "")],
                order_status,
                tickets.get(saga_id, Counter()),
                authorizations.get(saga_id, Counter()),
            )
            for saga_id, order_status in orders
        ]

    def _by_saga(self, service: str, statement: str) -> dict[str, Counter[str]]:
        found: dict[str, Counter[str]] = {}
        for saga_id, status in self.rows(service, statement):
            found.setdefault(saga_id, Counter())[status] += 1
        return found


def assert_coherent(endings: list[Ending]) -> None:
    """The promise to the business: what an order's rows in all services must add up to."""
    for ending in endings:
        assert ending.tickets.total() <= 1, f"two tickets: {ending}"
        assert ending.authorizations["authorized"] <= 1, f"two live authorizations: {ending}"
        if ending.order_status == "approved":
            assert ending.saga_status == "succeeded", ending
            assert ending.tickets["approved"] == 1, ending
            assert ending.authorizations["authorized"] == 1, ending
        else:
            assert (ending.order_status, ending.saga_status) == ("rejected", "failed"), ending
            assert ending.tickets["approved"] == ending.tickets["created"] == 0, ending
            assert ending.authorizations["authorized"] == 0, ending


@contextmanager
def running_system(
    kind: str, directory: Path, *, start: bool = True, extra: Mapping[str, str] | None = None
) -> Iterator[System]:
    """`embedded`: Redis on a socket and SQLite files; `servers`: RabbitMQ and PostgreSQL."""
    with ExitStack() as stack:
        broker = stack.enter_context(own_broker("redis" if kind == "embedded" else "rabbitmq"))
        if kind == "embedded":
            databases = {service: f"sqlite:///{directory / service}.sqlite3" for service in SERVICES}
        else:
            databases = {service: stack.enter_context(postgresql_database(service)) for service in SERVICES}
        system = System(broker, databases, directory, extra or {})
        stack.callback(system.close)
        system.prepare()
        if start:
            for service in SERVICES:
                system.start(service, wait=False)
            for service in SERVICES:
                system.wait_until(
                    lambda service=service: " ready." in system.log(service),  # type: ignore[misc]
                    READY_SECONDS,
                    lambda service=service: system.log(service),  # type: ignore[misc]
                )
        yield system
