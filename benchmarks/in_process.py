"""The reference system in one process and without a broker: its databases are real, its messages go from hand to hand.

Every batch has the size that is asked for, where a broker's would have whatever has arrived: what is counted here is
the same each time.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple, TypeVar
from unittest import mock

from sqlalchemy import Engine, text

from benchmarks import ground
from benchmarks.placing import place_together
from benchmarks.workload import BenchmarkFailed
from local_stack.plan import ORCHESTRATOR, SERVICES
from order_service.create_order_saga import CreateOrderSaga
from order_service.launches import NewOrder, place_order
from sagas_framework import Orchestrator, create_orchestrator, create_participant
from sagas_framework.orchestrator.replies import ReplyBatches
from sagas_framework.orchestrator.start import Starts
from sagas_framework.participant.commands import CommandBatches
from sagas_framework.storage.database import reading
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.wire import OutgoingMessage
from sagas_framework.vocabulary import json_text
from tests.support.orchestration import RecordingPublisher, Statements, delivery_of, watching
from tests.support.servers import postgresql_database

NO_BROKER = "memory://"  # nobody connects to it
ENVIRONMENT = {"RESTAURANT_SERVICE_TRANSIENT_APPROVALS": "0"}

START, REPLIES = f"{ORCHESTRATOR}: start", f"{ORCHESTRATOR}: replies"
PARTICIPANTS = tuple(service for service in SERVICES if service != ORCHESTRATOR)
PARTS = (START, REPLIES, *PARTICIPANTS)

# What is counted.
STATEMENTS = "statements"
"""Sent to the database, with those that begin a transaction on SQLite or set a savepoint; an executemany is one."""
WRITES = "writes"
"""Those of the statements that insert, update or delete."""
PARAMETER_SETS = "parameter sets"
"""One for a statement, and as many as it has for an executemany."""
COMMITS = "commits"
ROLLBACKS = "rollbacks"
PUBLISHES = "publishes"
"""How often messages were handed to the broker, and its confirmation waited for."""
MESSAGES = "messages"
BYTES = "bytes"
"""Bodies and headers of the messages, as JSON; without the traceback of a failure."""
FIGURES = (STATEMENTS, WRITES, PARAMETER_SETS, COMMITS, ROLLBACKS, PUBLISHES, MESSAGES, BYTES)

_WRITES = re.compile(r"\b(INSERT\s+INTO|UPDATE\s+\S+\s+SET|DELETE\s+FROM)\b", re.IGNORECASE)

T = TypeVar("T")

Counts = dict[str, Counter[str]]
"""By part and by figure."""


class CountingPublisher(RecordingPublisher):
    def __init__(self) -> None:
        super().__init__()
        self.publishes = 0

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        self.publishes += bool(messages)
        super().publish(messages)


class Consumer(NamedTuple):
    """Who takes the messages of one queue."""

    part: str
    engine: Engine
    handle: Callable[[Sequence[Delivery]], None]


@dataclass(frozen=True)
class InProcess:
    orchestrator: Orchestrator
    publisher: CountingPublisher
    engines: Mapping[str, Engine]
    consumers: Mapping[str, Consumer]
    """By queue."""

    def prepare(self) -> None:
        for service, engine in self.engines.items():
            import_module(f"{service}.prepare_database").prepare(engine)

    def carry(self, orders: Sequence[NewOrder], batch: int) -> Counts:
        """Places the orders, so many in a transaction, and sees to each batch's end before the next one begins."""
        counts: Counts = {part: Counter({figure: 0 for figure in FIGURES}) for part in PARTS}
        for together in _in_batches(orders, batch):
            with self._counting(counts[START], self.orchestrator.engine):
                if batch == 1:
                    place_order(self.orchestrator, together[0])
                else:
                    place_together(self.orchestrator, together)
            while messages := self.publisher.take():
                self._hand_over(messages, batch, counts)
        return counts

    def _hand_over(self, messages: Sequence[OutgoingMessage], batch: int, counts: Counts) -> None:
        queues: dict[str, list[OutgoingMessage]] = {}
        for message in messages:
            queues.setdefault(message.queue, []).append(message)
        for queue, waiting in queues.items():
            consumer = self.consumers[queue]
            for together in _in_batches(waiting, batch):
                with self._counting(counts[consumer.part], consumer.engine):
                    consumer.handle([delivery_of(message) for message in together])

    @contextmanager
    def _counting(self, counted: Counter[str], engine: Engine) -> Iterator[None]:
        published_before, publishes_before = len(self.publisher.published), self.publisher.publishes
        with watching(engine) as seen:
            yield
        counted.update(_of_statements(seen))
        counted[PUBLISHES] += self.publisher.publishes - publishes_before
        counted.update(_of_messages(self.publisher.published[published_before:]))

    def require_endings(self, sagas: Mapping[str, int], orders: Mapping[str, int]) -> None:
        """All that was ever placed has ended so, and no message was kept for the operator."""
        for table, expected in (("saga_instance", sagas), ("orders", orders)):
            found = self._statuses(table)
            if found != expected:
                raise BenchmarkFailed(f"{table} should end as {dict(expected)}, and is {found}")
        for service, engine in self.engines.items():
            with reading(engine) as connection:
                if kept := connection.scalar(text("SELECT count(*) FROM saga_kept_message")):
                    raise BenchmarkFailed(f"{service} keeps {kept} messages for the operator")

    def _statuses(self, table: str) -> dict[str, int]:
        with reading(self.engines[ORCHESTRATOR]) as connection:
            rows = connection.execute(text(f"SELECT status, count(*) FROM {table} GROUP BY status"))
            return {status: count for status, count in rows}


def _of_statements(seen: Statements) -> dict[str, int]:
    return {
        STATEMENTS: len(seen.texts),
        WRITES: sum(_WRITES.search(statement) is not None for statement in seen.texts),
        PARAMETER_SETS: seen.parameter_sets,
        COMMITS: seen.commits,
        ROLLBACKS: seen.rollbacks,
    }


def _of_messages(published: Sequence[OutgoingMessage]) -> dict[str, int]:
    return {MESSAGES: len(published), BYTES: sum(_size(message) for message in published)}


def _size(message: OutgoingMessage) -> int:
    return len(message.body.encode()) + len(json.dumps(message.headers()).encode()) - _size_of_traceback(message)


def _size_of_traceback(message: OutgoingMessage) -> int:
    """It holds paths of this machine, line numbers, and what this version of Python adds: no figures to record."""
    (_, payload), *_ = json_text.loads(message.body)
    traceback = payload.get("traceback") if isinstance(payload, dict) else None
    return 0 if traceback is None else len(json_text.dumps(traceback).encode())


def _in_batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[place : place + size] for place in range(0, len(items), size))


@contextmanager
def system_on(database: str) -> Iterator[InProcess]:
    """On databases of its own, `sqlite` or `postgresql`, that are prepared, and gone afterwards."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, ENVIRONMENT))
        if database == "sqlite":
            folder = stack.enter_context(ground.folder_of_its_own())
            urls = {service: f"sqlite:///{folder / service}.sqlite3" for service in SERVICES}
        else:
            urls = {service: stack.enter_context(postgresql_database(f"guard_{service}")) for service in SERVICES}
        system = _assembled(urls)
        for engine in system.engines.values():
            stack.callback(engine.dispose)
        system.prepare()
        yield system


def _assembled(urls: Mapping[str, str]) -> InProcess:
    """As the services' own worker modules do it, but for the publisher."""
    publisher = CountingPublisher()
    orchestrator = create_orchestrator(
        ORCHESTRATOR, broker=NO_BROKER, database_url=urls[ORCHESTRATOR], sagas=[CreateOrderSaga]
    )
    orchestrator._starts = Starts(publisher)
    replies = ReplyBatches(orchestrator.engine, orchestrator._advancer, publisher)
    engines = {ORCHESTRATOR: orchestrator.engine}
    consumers = {CreateOrderSaga.response_queue: Consumer(REPLIES, orchestrator.engine, replies.handle)}
    for service in PARTICIPANTS:
        queue = import_module(f"messaging.{service}_messaging").COMMANDS_QUEUE
        handlers = [import_module(f"{service}.handlers")]
        participant = create_participant(
            service, broker=NO_BROKER, database_url=urls[service], queue=queue, handlers=handlers
        )
        engine = participant.engine
        assert engine is not None  # it was given a database
        engines[service] = engine
        consumers[queue] = Consumer(service, engine, CommandBatches(engine, publisher, participant._works).handle)
    return InProcess(orchestrator, publisher, engines, consumers)
