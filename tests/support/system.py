"""The four services as real processes on a broker that may be killed too, and what their databases say in the end."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from local_stack.plan import CHECKOUT, SERVICES, in_this_interpreter, preparation_command, worker_command
from sagas_framework.storage.database import open_database, reading
from tests.support.databases import DISCONNECT_OTHERS
from tests.support.own_brokers import OwnBroker, own_broker
from tests.support.servers import postgresql_database
from tests.support.workers import READY_SECONDS, Workers

UNFINISHED = ("running", "compensating")


@dataclass(frozen=True)
class Ending:
    """What the databases say of one order once its saga has ended."""

    saga_id: str
    saga_status: str
    order_status: str
    tickets: Counter[str]
    authorizations: Counter[str]


class System(Workers):
    """The reference system; its workers are named by their service."""

    def __init__(self, broker: OwnBroker, databases: Mapping[str, str], logs: Path, extra: Mapping[str, str]) -> None:
        self.broker = broker
        self.databases = databases
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("CELERY_")},
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "app_common")]),
            "CELERY_BROKER": broker.url,
            "CELERY_VISIBILITY_TIMEOUT_SECONDS": "3",
            "ORDER_SERVICE_ASK_AGAIN_AFTER_SECONDS": "2",
            "RESTAURANT_SERVICE_TRANSIENT_APPROVALS": "1",
            **{f"{service.upper()}_DATABASE_URL": url for service, url in databases.items()},
            **extra,
        }
        super().__init__(environment, logs)
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

    def command(self, worker: str) -> list[str]:
        return worker_command(worker.partition("#")[0])

    def start_all(self, workers: Sequence[str] = SERVICES) -> None:
        super().start_all(workers)

    def close(self) -> None:
        self.kill_all()
        self.close_engines()

    def close_engines(self) -> None:
        for engine in self._engines.values():
            engine.dispose()

    @property
    def is_on_postgresql(self) -> bool:
        return self.engine(SERVICES[0]).dialect.name == "postgresql"

    def disconnect_everybody(self) -> None:
        """All that are connected to the databases lose their connection, whatever they are doing."""
        for service in SERVICES:
            with self.engine(service).connect() as connection:
                connection.execute(DISCONNECT_OTHERS)

    # ---- launching and looking --------------------------------------------------------------------------------

    def launch(self, kind: str, count: int = 1, *, seed: int = 0, together: int = 1) -> list[str]:
        """Places orders in a process of its own, as the page does; gives the ids of their sagas.

        `together`: so many in each transaction.
        """
        result = subprocess.run(
            [sys.executable, "-m", "tests.support.launch", kind, str(count), str(seed), str(together)],
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

    def unfinished(self) -> int:
        statuses = self.statuses()
        return sum(statuses[status] for status in UNFINISHED)

    def ended(self) -> int:
        return self.statuses().total() - self.unfinished()

    def wait_for_the_end(self, timeout_seconds: float = READY_SECONDS) -> None:
        def ended() -> bool:
            return not any(self.statuses()[status] for status in UNFINISHED)

        self.wait_until(ended, timeout_seconds, self.describe_unfinished)

    def describe_unfinished(self) -> str:
        rows = self.rows(
            "order_service",
            "SELECT id, status, current_step, state, wake_at FROM saga_instance WHERE wake_at IS NOT NULL LIMIT 5",
        )
        return f"{self.statuses()} {rows}{self.all_logs()}"

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
def system_on(
    broker: OwnBroker, database: str, directory: Path, extra: Mapping[str, str] | None = None
) -> Iterator[System]:
    """The system with databases of its own, `sqlite` or `postgresql`, prepared; no worker is running yet."""
    with ExitStack() as stack:
        if database == "sqlite":
            databases = {service: f"sqlite:///{directory / service}.sqlite3" for service in SERVICES}
        else:
            databases = {service: stack.enter_context(postgresql_database(service)) for service in SERVICES}
        system = System(broker, databases, directory, extra or {})
        stack.callback(system.close)
        system.prepare()
        yield system


@contextmanager
def running_system(
    kind: str, directory: Path, *, start: bool = True, extra: Mapping[str, str] | None = None
) -> Iterator[System]:
    """`embedded`: Redis on a socket and SQLite files; `servers`: RabbitMQ and PostgreSQL."""
    broker_kind, database = ("redis", "sqlite") if kind == "embedded" else ("rabbitmq", "postgresql")
    with own_broker(broker_kind) as broker, system_on(broker, database, directory, extra) as system:
        if start:
            system.start_all()
        yield system
