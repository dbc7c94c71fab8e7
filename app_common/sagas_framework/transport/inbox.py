"""Gathering: what arrives while a batch is in its transaction becomes the next batch; a lone message waits for none.

One idea from end to end: gather, one transaction, publish, acknowledge. It hangs on Celery's own extension points: a
Task.Strategy receives every message of the tasks given to it, a callback on the worker's loop handles what has
gathered. All of it runs on the worker's main thread, so that nothing here needs a lock.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from functools import update_wrapper
from typing import Any

from celery import Celery
from celery.worker import state

from sagas_framework.errors import ConfigurationError
from sagas_framework.transport.celery_app import BATCH_PREFETCH
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.feed import Feed, feed_of

logger = logging.getLogger(__name__)

MAX_BATCH = BATCH_PREFETCH
FIRST_BACKOFF_SECONDS = 0.05
LONGEST_BACKOFF_SECONDS = 5.0


class Unfinished(Exception):
    """Raised by the handler of a batch: all of it is done but these.

    `give_back`: the broker is to deliver them once more. `hold`: keep them here and come back with them a little later;
    they may have been applied, for a commit whose answer was lost looks like one that failed.
    """

    def __init__(self, reason: str, *, give_back: Collection[Delivery] = (), hold: Collection[Delivery] = ()) -> None:
        super().__init__(reason)
        self.give_back = give_back
        self.hold = hold


class Inbox:
    """The buffer of one worker. `handle` gets what has gathered; when it returns, all of it is acknowledged."""

    def __init__(self, handle: Callable[[Sequence[Delivery]], None], max_batch: int = MAX_BATCH) -> None:
        self._handle = handle
        self._max_batch = max_batch
        self._buffer: list[Delivery] = []
        self._hub: Any = None
        self._feed: Feed | None = None
        self._not_before = 0.0
        self._backoff_seconds = FIRST_BACKOFF_SECONDS

    def register(self, app: Celery, name: str, handler: Callable[..., Any] | None = None) -> None:
        """Makes a task of the app whose messages come here, to be handed to what `handler` is a part of."""

        def gathered(saga_id: str, payload: Any) -> None:
            """The Strategy takes the message before Celery would call this."""
            raise NotImplementedError("these messages are gathered by a worker of the framework, not called")

        if handler is not None:
            update_wrapper(gathered, handler, assigned=("__doc__",), updated=())
        app.task(name=name, Strategy=self.strategy)(gathered)

    def strategy(self, task: Any, app: Any, consumer: Any) -> Callable[..., None]:
        """Celery's Task.Strategy: called for each task whenever the consumer (re)starts."""
        if consumer.hub is None:
            raise ConfigurationError("batches need a worker with an event loop: RabbitMQ or Redis, and --pool solo")
        if self._feed is None or consumer.connection is not self._feed.connection:
            # The broker gives the old connection's unacknowledged messages to somebody again: ours are void.
            self._buffer.clear()
            self._hub, self._feed = consumer.hub, feed_of(consumer)
            consumer.hub.on_tick.add(self._tick)
        return self._receive

    def _receive(self, message: Any, body: Any, ack: Any, reject: Any, callbacks: Any) -> None:
        if not self._buffer:
            # Before the loop's next turn, where kombu asks Redis for one message ahead: that one would be in nobody's
            # books while the batch is being done, and lost if the worker is killed meanwhile.
            self._hub.call_soon(self._tick)
        self._buffer.append(Delivery(message))

    def _tick(self) -> None:
        """Runs on every turn of the worker's loop. What escapes from here would end the worker."""
        while self._buffer and time.monotonic() >= self._not_before and not _worker_is_stopping():
            assert self._feed is not None  # it brought what is in the buffer
            self._feed.fetch(self._room)  # so that a burst becomes one batch instead of many
            batch, self._buffer = self._buffer[: self._max_batch], self._buffer[self._max_batch :]
            self._run(batch, self._feed)

    def _room(self) -> int:
        return self._max_batch - len(self._buffer)

    def _run(self, batch: list[Delivery], feed: Feed) -> None:
        give_back: Collection[Delivery] = ()
        hold: Collection[Delivery] = ()
        try:
            self._handle(batch)
            self._backoff_seconds = FIRST_BACKOFF_SECONDS
        except Unfinished as reason:
            give_back, hold = reason.give_back, reason.hold
            logger.warning(
                "%d of %d messages wait for better weather: %s", len(give_back) + len(hold), len(batch), reason
            )
        except Exception:
            logger.exception("a batch of %d messages is given back: the framework failed on it", len(batch))
            give_back = batch
        self._settle(batch, give_back, hold, feed)

    def _settle(
        self, batch: list[Delivery], give_back: Collection[Delivery], hold: Collection[Delivery], feed: Feed
    ) -> None:
        feed.give_back(give_back)
        unfinished = {*give_back, *hold}
        feed.acknowledge([delivery for delivery in batch if delivery not in unfinished])
        if give_back or len(hold) == len(batch):
            self._pause()  # what was given back comes again at once; and when nothing worked, nothing will just now
        if hold:
            for delivery in hold:
                delivery.tried_before = True
            self._hub.call_later(self._backoff_seconds, self._take_up, list(hold), feed)

    def _pause(self) -> None:
        self._not_before = time.monotonic() + self._backoff_seconds
        self._hub.call_later(self._backoff_seconds, self._tick)
        self._backoff_seconds = min(self._backoff_seconds * 2, LONGEST_BACKOFF_SECONDS)

    def _take_up(self, held: list[Delivery], feed: Feed) -> None:
        if feed is self._feed:  # else they are void, like the buffer's
            self._buffer += held  # behind the others: whoever waits for a lock holds up nobody
            self._tick()


def _worker_is_stopping() -> bool:
    """What is left in the buffer then goes back to the broker with the connection."""
    # A flag holds the exit code: 0 is a yes, and equals False.
    return any(flag is not None and flag is not False for flag in (state.should_stop, state.should_terminate))
