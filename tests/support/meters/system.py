"""Meters and houses as real processes; who publishes is most often the test's own process."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from local_stack.plan import CHECKOUT
from sagas_framework import Broker, ProcessManager, create_participant, upgrade_database
from sagas_framework.events.outbound import Outbound
from sagas_framework.process_managers.compiler import process_manager_of
from sagas_framework.process_managers.description import Description
from sagas_framework.process_managers.hand import SagaInHand
from sagas_framework.storage import processes, schema
from sagas_framework.storage.database import open_database, reading
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import OutgoingMessage
from tests.support.databases import DISCONNECT_OTHERS
from tests.support.meters import handlers, messages
from tests.support.own_brokers import OwnBroker, own_broker
from tests.support.servers import postgresql_database
from tests.support.workers import Workers

METERS, HOUSES = "tests.support.meters.worker", "tests.support.houses.worker"
END_SECONDS = 180.0
VISIBILITY_SECONDS = 2


class Meters(Workers):
    def __init__(self, broker: OwnBroker, databases: Mapping[str, str], logs: Path) -> None:
        self.broker = broker
        self.engines: dict[str, Engine] = {name: open_database(url) for name, url in databases.items()}
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("CELERY_")},
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "app_common")]),
            "CELERY_BROKER": broker.url,
            "CELERY_VISIBILITY_TIMEOUT_SECONDS": str(VISIBILITY_SECONDS),
            **{f"{name.upper()}_DATABASE_URL": url for name, url in databases.items()},
        }
        super().__init__(environment, logs)
        for engine in self.engines.values():
            upgrade_database(engine)
            handlers.Base.metadata.create_all(engine)
        self.service = create_participant(
            messages.SOURCE,
            broker=Broker(broker.url, visibility_timeout_seconds=VISIBILITY_SECONDS),
            database_url=databases["meters"],
            queue=messages.COMMANDS,
            publishes=[messages.MeterRead, messages.MeterMoved, messages.MeterPainted],
        )
        self._publisher = Publisher(self.service.app, self.service.broker)

    def close(self) -> None:
        self.kill_all()
        self._publisher.close()
        for engine in (*self.engines.values(), self.service.engine):
            assert engine is not None
            engine.dispose()

    @property
    def is_on_postgresql(self) -> bool:
        return self.engines["houses"].dialect.name == "postgresql"

    def disconnect_everybody(self) -> None:
        """All but this process, whose transactions are not the framework's to repeat."""
        assert self.service.engine is not None
        self.service.engine.dispose()
        for engine in self.engines.values():
            with engine.connect() as connection:
                connection.execute(DISCONNECT_OTHERS)

    # ---- publishing -------------------------------------------------------------------------------------------

    def publish(self, *events: Any) -> None:
        """In one transaction; it leaves just after the commit."""
        with self.service.sessions.begin() as session:
            for event in events:
                self.service.publish(event, session=session)

    def publish_by_relay(self, events: Iterable[Any]) -> list[OutgoingMessage]:
        """The same in somebody else's transaction, so that the relay of a worker sends them; gives what it will."""
        row = schema.outbox.c
        with self.engines["meters"].begin() as connection, Session(connection) as session:
            before = connection.scalar(select(row.id).order_by(row.id.desc()).limit(1)) or 0
            for event in events:
                self.service.publish(event, session=session)
            added = select(row.message).where(row.id > before).order_by(row.id)
            return [OutgoingMessage(**message) for message in connection.scalars(added)]

    def send(self, sent: Sequence[OutgoingMessage]) -> None:
        """Past the outbox."""
        self._publisher.publish(sent)

    # ---- looking ----------------------------------------------------------------------------------------------

    def rows(self, service: str, statement: str) -> list[Any]:
        with reading(self.engines[service]) as connection:
            return list(connection.execute(text(statement)).all())

    def count(self, service: str, table: str) -> int:
        [(count,)] = self.rows(service, f"SELECT count(*) FROM {table}")
        return int(count)

    def book(self, service: str, book: str) -> dict[str, list[int]]:
        """What was written there of each meter, in the order of the writing."""
        found: dict[str, list[int]] = {}
        lines = f"SELECT meter, reading FROM written WHERE book = '{book}' ORDER BY id"
        for meter, number in self.rows(service, lines):
            found.setdefault(meter, []).append(number)
        return found

    def readings(self) -> dict[str, list[int]]:
        return self.book("houses", "readings")

    def handled(self) -> int:
        return self.count("houses", "written WHERE book = 'readings'")

    def bills(self, why: str) -> Counter[tuple[str, int]]:
        lines = self.rows("meters", f"SELECT meter, reading FROM written WHERE book = 'bill {why}'")
        return Counter((meter, number) for meter, number in lines)

    def is_quiet(self) -> bool:
        """Nothing is on its way any more, as far as the databases say."""
        return not any(self.count(service, "saga_outbox") for service in self.engines) and not self.count(
            "houses", "saga_event_inbox"
        )

    def kept(self) -> list[Any]:
        """What either side has kept for the operator."""
        return [row for service in self.engines for row in self.rows(service, "SELECT * FROM saga_kept_message")]

    def wait(self, condition: Callable[[], bool], timeout_seconds: float = END_SECONDS) -> None:
        self.wait_until(condition, timeout_seconds, self.describe)

    def wait_until_quiet(self) -> None:
        self.wait(self.is_quiet)

    def describe(self) -> str:
        outgoing = {
            service: self.rows(service, "SELECT queue, message_id, due_at, times, problem FROM saga_outbox LIMIT 3")
            for service in self.engines
        }
        inbox = self.rows("houses", "SELECT aggregate, number, attempts, parked, wake_at FROM saga_event_inbox LIMIT 5")
        streams = self.rows("houses", "SELECT count(*), sum(handled) FROM saga_event_stream")
        return f"outbox {outgoing}\ninbox {inbox}\nstreams {streams}{self.all_logs()}"


def states_of(engine: Engine, managers: Iterable[type[ProcessManager[Any]]]) -> dict[str, list[Any]]:
    """The states of all sagas of these classes, made as the next event would find them."""
    return {manager.name: [*_states(engine, process_manager_of(manager))] for manager in managers}


def _states(engine: Engine, description: Description) -> Iterator[Any]:
    row = schema.instances.c
    with reading(engine) as connection:
        found = connection.execute(select(row.id, row.data).where(row.saga == description.name)).all()
        versions = {one: data["version"] for one, data in found if description.snapshot_every is not None}
        streams = processes.own_events_after(connection, versions) if versions else {}
    for one, data in found:
        hand = SagaInHand(description, "", one, Outbound({}), 0.0, stored=data, stream=streams.get(one, ()))
        hand.state.open(description.manager(hand))
        yield hand.state.value


@contextmanager
def meters_system(kind: str, directory: Path) -> Iterator[Meters]:
    """`embedded`: Redis on a socket and SQLite files; `servers`: RabbitMQ and PostgreSQL. No worker is running yet."""
    with ExitStack() as stack:
        servers = kind == "servers"
        broker = stack.enter_context(own_broker("rabbitmq" if servers else "redis"))
        databases = {
            name: stack.enter_context(postgresql_database(name)) if servers else f"sqlite:///{directory / name}.sqlite3"
            for name in ("meters", "houses")
        }
        system = Meters(broker, databases, directory)
        stack.callback(system.close)
        yield system
