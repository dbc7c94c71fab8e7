"""An orchestrator without a broker: real databases, messages handed over and caught by hand."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from sqlalchemy import Connection, Engine, event, select
from sqlalchemy.orm import Session, scoped_session

from sagas_framework import Saga, SagaHandle
from sagas_framework.definition.compiler import compile_saga
from sagas_framework.definition.graph import Timing
from sagas_framework.engine.protocol import Act
from sagas_framework.engine.state import SagaState
from sagas_framework.errors import PublishFailed
from sagas_framework.events.publishing import Announcer
from sagas_framework.events.wiring import events_by_name
from sagas_framework.orchestrator import replies
from sagas_framework.orchestrator.advance import Advancer
from sagas_framework.orchestrator.due import DueSagas
from sagas_framework.orchestrator.instance import Arrival
from sagas_framework.orchestrator.replies import ReplyBatches
from sagas_framework.orchestrator.start import Starts, start
from sagas_framework.storage.schema import history, instances, kept_messages
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import OutgoingMessage, reply_message
from sagas_framework.vocabulary.correlation import Correlation

NAME = "orders"
TIMING = Timing(ask_again_after_seconds=30.0, give_up_after_seconds=3600.0)


class RecordingPublisher(Publisher):
    """Keeps what was published; with `broken` it confirms nothing."""

    def __init__(self) -> None:
        self.published: list[OutgoingMessage] = []
        self.broken = False
        self.waiting: dict[str, int] = {}

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        if self.broken:
            raise PublishFailed("the broker is away", frozenset(message.id for message in messages))
        self.published += messages

    def check(self) -> None:
        if self.broken:
            raise PublishFailed("the broker is away")

    def backlog(self, queue: str) -> int:
        self.check()
        return self.waiting.get(queue, 0)

    def take(self) -> list[OutgoingMessage]:
        taken, self.published = self.published, []
        return taken

    def tasks(self) -> list[str]:
        """The names of what was published since the last look."""
        return [message.task for message in self.take()]


@dataclass
class FakeMessage:
    """What kombu hands over, as far as a Delivery looks at it."""

    headers: Any
    body: Any
    content_type: str | None = "application/json"
    delivery_info: dict[str, Any] = field(default_factory=dict)
    ended: str | None = None

    def ack_log_error(self, logger: Any, errors: Any) -> None:
        self.ended = "acknowledged"

    def reject_log_error(self, logger: Any, errors: Any, requeue: bool) -> None:
        self.ended = "given back"


def delivery_of(message: OutgoingMessage, *, redelivered: bool = False) -> Delivery:
    info = {"routing_key": message.queue, "redelivered": redelivered}
    return Delivery(FakeMessage(message.headers(), message.body, delivery_info=info))


def raw_delivery(body: Any, task: str, *, redelivered: bool = False, **headers: Any) -> Delivery:
    """A message that nobody of ours has written."""
    info = {"routing_key": "replies", "redelivered": redelivered}
    return Delivery(FakeMessage({"task": task, "id": f"id of {task}", **headers}, body, delivery_info=info))


def answer(command: OutgoingMessage, value: Any = None, *, redelivered: bool = False) -> Delivery:
    """The reply to a command, as its participant would send it; a Failure makes it a failure."""
    place = Correlation.from_headers(command.headers())
    assert place is not None and place.reply_queue is not None
    reply = reply_message(command.task, place.reply_queue, place.saga, command.id, value, place)
    return delivery_of(reply, redelivered=redelivered)


def arrival_of(reply: Delivery) -> Arrival:
    """The reply as the orchestrator reads it."""
    read = replies.read_reply(reply, 1.0)
    assert isinstance(read, Arrival)
    return read


class Bench:
    """One orchestrator process, as far as a test needs it. Several on one engine are several workers."""

    def __init__(
        self, engine: Engine, *sagas: type[Saga[Any]], timing: Timing = TIMING, publishes: Sequence[type[Any]] = ()
    ) -> None:
        self.engine = engine
        self.publisher = RecordingPublisher()
        self.definitions = {saga.name: compile_saga(saga, timing) for saga in sagas}
        self.publishes = events_by_name(publishes)
        self._announce = Announcer(self.publisher, self.publishes).announce if publishes else None
        self.advancer = Advancer(NAME, engine, self.definitions, self._announce)
        self.replies = ReplyBatches(engine, self.advancer, self.publisher)
        self.due = DueSagas(engine, self.advancer, self.publisher)
        self._starts = Starts(self.publisher)

    def start(
        self, saga: type[Saga[Any]], data: Any, session: Session | scoped_session[Any], key: str | None = None
    ) -> SagaHandle[Any]:
        saga_id, created = start(self.definitions[saga.name], NAME, data, session, key, self._starts, self._announce)
        return SagaHandle(saga_id, created, self.engine, self.definitions)

    def started(self, saga: type[Saga[Any]], data: Any, key: str | None = None) -> str:
        """The id of a saga started in a transaction of its own."""
        with Session(self.engine) as session, session.begin():
            return self.start(saga, data, session, key).saga_id

    def handle(self, *deliveries: Delivery) -> None:
        self.replies.handle(deliveries)

    def act(self, saga_id: str, act: Act) -> None:
        self.advancer.arrivals([Arrival(saga_id, act)], (), act.now)

    def due_at(self, now: float) -> None:
        """A round of the due loop at that time."""
        with mock.patch("sagas_framework.orchestrator.due.time.time", return_value=now):
            self.due()

    def due_now(self, saga_id: str) -> list[OutgoingMessage]:
        """What the due loop sends when the saga's time has come."""
        self.due_at(self.row(saga_id)["wake_at"] + 0.001)
        return self.publisher.take()

    def row(self, saga_id: str) -> dict[str, Any]:
        with self.engine.connect() as connection:
            row = connection.execute(select(instances).where(instances.c.id == saga_id)).mappings().one()
            return dict(row)

    def state(self, saga_id: str) -> SagaState:
        return SagaState.from_json(self.row(saga_id)["state"])

    def status(self, saga_id: str) -> str:
        return str(self.row(saga_id)["status"])

    def events(self, saga_id: str) -> list[str]:
        with self.engine.connect() as connection:
            chosen = select(history.c.event).where(history.c.saga_id == saga_id).order_by(history.c.id)
            return list(connection.scalars(chosen))

    def kept(self) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            rows = connection.execute(select(kept_messages).order_by(kept_messages.c.id)).mappings()
            return [dict(row) for row in rows]


class Statements:
    """What one engine was asked to do."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.parameter_sets = 0
        self.commits = 0
        self.rollbacks = 0

    def writing_to(self, table: str) -> list[str]:
        return [text for text in self.texts if table in text and not text.lstrip().upper().startswith("SELECT")]


@contextmanager
def watching(engine: Engine) -> Iterator[Statements]:
    seen = Statements()

    def executed(connection: Connection, cursor: Any, text: str, given: Any, context: Any, is_many: bool) -> None:
        seen.texts.append(text)
        # Many rows that SQLAlchemy has put into one INSERT are no list, though it calls them many as well.
        seen.parameter_sets += len(given) if is_many and isinstance(given, list) else 1

    def committed(connection: Connection) -> None:
        seen.commits += 1

    def rolled_back(connection: Connection) -> None:
        seen.rollbacks += 1

    listeners: dict[str, Callable[..., None]] = {
        "before_cursor_execute": executed,
        "commit": committed,
        "rollback": rolled_back,
    }
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    try:
        yield seen
    finally:
        for name, listener in listeners.items():
            event.remove(engine, name, listener)
