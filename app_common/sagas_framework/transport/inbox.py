"""Gathering: what arrives while a batch is in its transaction becomes the next batch; a lone message waits for none.

One idea from end to end: gather, one transaction, publish, acknowledge. It hangs on Celery's own extension points: a
Task.Strategy receives every message of the tasks given to it, a callback on the worker's loop handles what has
gathered. All of it runs on the worker's main thread, so that nothing here needs a lock.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from sagas_framework.vocabulary.correlation import Correlation
from sagas_framework.vocabulary.text import storable

logger = logging.getLogger(__name__)

MAX_BATCH = 200
FIRST_BACKOFF_SECONDS = 0.05
LONGEST_BACKOFF_SECONDS = 5.0


class Delivery:
    """One message as it was delivered, acknowledged through the channel that it came on."""

    def __init__(self, message: Any) -> None:
        self._message = message
        headers = message.headers
        self.headers: dict[str, Any] = headers if isinstance(headers, dict) else {}
        self.body: bytes | str = message.body
        self.content_type: str | None = message.content_type

    @property
    def task(self) -> str:
        return storable(str(self.headers.get("task")))

    @property
    def message_id(self) -> str:
        return storable(str(self.headers.get("id"))[:255])

    @property
    def queue(self) -> str | None:
        routing_key = (self._message.delivery_info or {}).get("routing_key")
        return None if routing_key is None else str(routing_key)

    @property
    def redelivered(self) -> bool:
        return bool((self._message.delivery_info or {}).get("redelivered"))

    @property
    def correlation(self) -> Correlation | None:
        return Correlation.from_headers(self.headers)

    def text(self) -> str:
        return self.body if isinstance(self.body, str) else bytes(self.body).decode(errors="replace")

    def acknowledge(self, errors: tuple[type[BaseException], ...]) -> None:
        self._message.ack_log_error(logger, errors)

    def give_back(self, errors: tuple[type[BaseException], ...]) -> None:
        self._message.reject_log_error(logger, errors, requeue=True)


class TryLater(Exception):
    """Raised by the handler of a batch: nothing was done, hold the same messages and come back with them."""


class GiveBack(Exception):
    """Raised by the handler of a batch: the broker is to deliver these messages once more."""


class Inbox:
    """The buffer of one worker. `handle` gets what has gathered; when it returns, all of it is acknowledged."""

    def __init__(self, handle: Callable[[Sequence[Delivery]], None], max_batch: int = MAX_BATCH) -> None:
        self._handle = handle
        self._max_batch = max_batch
        self._buffer: list[Delivery] = []
        self._consumer: Any = None
        self._connection: Any = None
        self._not_before = 0.0
        self._backoff_seconds = FIRST_BACKOFF_SECONDS

    def strategy(self, task: Any, app: Any, consumer: Any) -> Callable[..., None]:
        """Celery's Task.Strategy: called for each task whenever the consumer (re)starts."""
        if consumer.connection is not self._connection:
            # The broker gives the old connection's unacknowledged messages to somebody again: ours are void.
            self._buffer.clear()
            self._consumer, self._connection = consumer, consumer.connection
            if consumer.hub is not None:
                consumer.hub.on_tick.add(self._tick)
        return self._receive

    def _receive(self, message: Any, body: Any, ack: Any, reject: Any, callbacks: Any) -> None:
        self._buffer.append(Delivery(message))
        if self._consumer.hub is None:  # a transport without an event loop: a batch of one, at once
            self._tick()

    def _tick(self) -> None:
        """Runs on every turn of the worker's loop. What escapes from here would end the worker."""
        while self._buffer and time.monotonic() >= self._not_before:
            self._drain()
            batch, self._buffer = self._buffer[: self._max_batch], self._buffer[self._max_batch :]
            self._run(batch)

    def _run(self, batch: list[Delivery]) -> None:
        errors = self._consumer.connection_errors
        try:
            self._handle(batch)
        except TryLater as reason:
            logger.warning("a batch of %d messages waits for better weather: %s", len(batch), reason)
            self._buffer = batch + self._buffer
            self._back_off()
        except GiveBack as reason:
            logger.warning("a batch of %d messages is given back: %s", len(batch), reason)
            self._back_off()
            for delivery in batch:
                delivery.give_back(errors)
        except Exception:
            logger.exception("a batch of %d messages is given back: the framework failed on it", len(batch))
            self._back_off()
            for delivery in batch:
                delivery.give_back(errors)
        else:
            self._backoff_seconds = FIRST_BACKOFF_SECONDS
            for delivery in batch:
                delivery.acknowledge(errors)

    def _back_off(self) -> None:
        self._not_before = time.monotonic() + self._backoff_seconds
        if self._consumer.hub is not None:
            self._consumer.hub.call_later(self._backoff_seconds, self._tick)
        self._backoff_seconds = min(self._backoff_seconds * 2, LONGEST_BACKOFF_SECONDS)

    def _drain(self) -> None:
        """Take what the connection already holds, so that a burst becomes one batch instead of many."""
        if self._consumer.hub is None:
            return
        if self._connection.transport.driver_type == "redis":
            self._drain_redis()
            return
        try:
            while len(self._buffer) < self._max_batch:
                self._connection.drain_events(timeout=0)
        except (TimeoutError, BlockingIOError):
            return

    def _drain_redis(self) -> None:
        consumer = self._consumer.task_consumer
        channel = consumer.channel
        for queue in consumer.queues:
            while len(self._buffer) < self._max_batch and channel.qos.can_consume():
                message = channel.basic_get(queue.name)
                if message is None:
                    break
                consumer.on_message(message)
