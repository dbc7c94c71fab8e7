"""A worker's end of a broker, without the worker: a channel that consumes, and a feed on it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from kombu import Connection, Consumer

from sagas_framework import Broker
from sagas_framework.transport.celery_app import create_celery_app
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.feed import Feed, feed_of
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import OutgoingMessage

OURS, SOMEBODY_ELSES = "kitchen.create", "kitchen.tidy_up"


def messages(ids: Sequence[str], queue: str = "work", task: str = OURS) -> list[OutgoingMessage]:
    return [OutgoingMessage(queue, task, one, f'[["{one}", {{"n": 1}}], {{}}, {{}}]', None, None) for one in ids]


def numbered(count: int, prefix: str = "m") -> list[str]:
    return [f"{prefix}{number:04d}" for number in range(count)]


@contextmanager
def publisher_on(broker: Broker, timeout_seconds: float = 10.0) -> Iterator[Publisher]:
    with create_celery_app("test", broker, [], batches=False) as app:
        publisher = Publisher(app, broker, timeout_seconds)
        try:
            yield publisher
        finally:
            publisher.close()


def publish(broker: Broker, sent: Sequence[OutgoingMessage]) -> None:
    with publisher_on(broker) as publisher:
        publisher.publish(sent)


class FakeHub:
    """Its time passes when a test says so."""

    def __init__(self) -> None:
        self.on_tick: set[Callable[[], None]] = set()
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.soon: list[Callable[[], None]] = []

    def call_soon(self, work: Callable[[], None]) -> None:
        self.soon.append(work)

    def call_later(self, seconds: float, work: Callable[..., None], *arguments: Any) -> None:
        self.timers.append((seconds, lambda: work(*arguments)))

    def fire(self) -> None:
        timers, self.timers = self.timers, []
        for _, work in timers:
            work()


class Worker:
    """What of a Celery worker an inbox and a feed need. `received` are the deliveries of tasks that are ours."""

    def __init__(self, broker: Broker, queue: str = "work", prefetch: int = 200) -> None:
        self.connection = Connection(broker.url, transport_options=broker.transport_options())
        self.connection.connect()
        self.hub = FakeHub()
        self.received: list[Delivery] = []
        self.others: list[Any] = []
        declared = broker.queue(queue)(self.connection.default_channel)
        self.task_consumer = Consumer(
            self.connection.default_channel, [declared], on_message=self._receive, accept=["json"]
        )
        self.task_consumer.qos(prefetch_count=prefetch)
        self.connection_errors = self.connection.connection_errors
        self.consumer: Any = SimpleNamespace(
            connection=self.connection,
            connection_errors=self.connection_errors,
            task_consumer=self.task_consumer,
            hub=self.hub,
        )
        self.feed: Feed = feed_of(self.consumer)

    def _receive(self, message: Any) -> None:
        if message.headers.get("task") == OURS:
            self.received.append(Delivery(message))
        else:
            self.others.append(message)

    def consume(self, until: int) -> list[Delivery]:
        """Receives what the broker delivers, until so many are there, somebody else's included."""
        self.task_consumer.consume()
        while len(self.received) + len(self.others) < until:
            self.connection.drain_events(timeout=10)
        return self.received

    def close(self) -> None:
        self.connection.release()


@contextmanager
def worker_on(broker: Broker, **options: Any) -> Iterator[Worker]:
    worker = Worker(broker, **options)
    try:
        yield worker
    finally:
        worker.close()


def waiting(broker: Broker, queue: str = "work") -> list[tuple[str, bool]]:
    """Ids of what is in a queue, and whether it had been delivered before; the queue is empty afterwards."""
    found: list[tuple[str, bool]] = []
    with Connection(broker.url, transport_options=broker.transport_options()) as connection:
        channel = connection.default_channel
        bound = broker.queue(queue)(channel)
        while (message := bound.get(no_ack=True)) is not None:
            found.append((message.headers["id"], bool(message.delivery_info.get("redelivered"))))
    return found


def ids_waiting(broker: Broker, queue: str = "work") -> list[str]:
    return [one for one, _ in waiting(broker, queue)]
