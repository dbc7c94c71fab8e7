"""Publishing on a connection that is kept open, and returning only when the broker has taken everything."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from amqp.exceptions import MessageNacked
from celery import Celery
from kombu import Connection, Producer
from kombu.exceptions import KombuError

from sagas_framework.errors import PublishFailed
from sagas_framework.transport.celery_app import Broker
from sagas_framework.transport.wire import OutgoingMessage

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_SECONDS = 1.0
CONFIRM_TIMEOUT_SECONDS = 10.0


class Publisher:
    """One held connection for each thread that publishes; a forked child opens its own.

    `timeout_seconds` bounds the wait for one confirmation.
    """

    def __init__(self, app: Celery, broker: Broker, timeout_seconds: float = CONFIRM_TIMEOUT_SECONDS) -> None:
        self._app = app
        self._broker = broker
        self._timeout_seconds = timeout_seconds
        self._held = threading.local()
        self._known_transport: Any = None

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        """Sends all of them, in order; raises PublishFailed with the ids of those that the broker did not take.

        A message that is refused (its queue is full, or declared otherwise) does not hold up the others. A connection
        that has gone stale while idle is replaced once, unless noticing it took all the time there was. Sending a
        message twice is harmless here: every message is deduplicated where it arrives.
        """
        refused: dict[str, BaseException] = {}
        may_reconnect = self._producer() is not None
        last_moment = time.monotonic() + self._timeout_seconds
        waiting = deque(messages)
        while waiting:
            try:
                self._send(self._producer() or self._open(), waiting[0])
                waiting.popleft()
            except self._refusals() as error:
                self.close()  # a refusal leaves its channel closed
                refused[waiting.popleft().id] = error
            except self._losses() as error:
                self.close()
                if not may_reconnect or time.monotonic() >= last_moment:
                    refused |= {message.id: error for message in waiting}
                    break
                may_reconnect = False
        if refused:
            first = next(iter(refused.values()))
            what = f"{len(refused)} of {len(messages)} messages"
            raise PublishFailed(f"the broker did not take {what}: {first!r}", frozenset(refused)) from first

    def check(self) -> None:
        """Raises PublishFailed unless the broker answers."""
        try:
            connection = self._connect() if self._producer() is None else self._held.connection
            connection.channel().close()  # a round trip on either broker
        except (*self._refusals(), *self._losses()) as error:
            self.close()
            raise PublishFailed(f"the broker does not answer: {error}") from error

    def close(self) -> None:
        connection = getattr(self._held, "connection", None)
        self._held.__dict__.clear()
        if connection is not None:
            try:
                connection.release()
            except Exception as error:  # the connection is being thrown away: how it broke no longer matters
                logger.debug("closing a publishing connection: %r", error)

    def _producer(self) -> Producer | None:
        producer: Producer | None = getattr(self._held, "producer", None)
        return producer if getattr(self._held, "pid", None) == os.getpid() else None

    def _send(self, producer: Producer, message: OutgoingMessage) -> None:
        producer.publish(
            message.body,
            routing_key=message.queue,
            content_type="application/json",
            content_encoding="utf-8",
            headers=message.headers(),
            declare=[self._queue(message.queue)],
            mandatory=True,
            timeout=self._timeout_seconds,
            confirm_timeout=self._timeout_seconds,
            correlation_id=message.id,
            delivery_mode=2,
        )
        if self._held.returned:
            self._held.returned.clear()
            raise Unroutable(f"no queue {message.queue!r} took it")

    def _queue(self, name: str) -> Any:
        queue = self._held.queues.get(name)
        if queue is None:
            queue = self._held.queues[name] = self._broker.queue(name)(self._held.connection.default_channel)
        return queue

    def _connect(self) -> Connection:
        options: dict[str, Any] = dict(self._broker.transport_options())
        if self._broker.is_redis:
            options |= {"socket_timeout": self._timeout_seconds, "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS}
        connection = self._app.connection_for_write(
            heartbeat=0, connect_timeout=CONNECT_TIMEOUT_SECONDS, transport_options=options
        )
        # Not `connect()`: that one sleeps for two seconds before it tries once more.
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=CONNECT_TIMEOUT_SECONDS)
        self._held.connection = connection
        self._held.pid = os.getpid()
        self._held.queues = {}
        self._held.returned = []
        return connection

    def _open(self) -> Producer:
        connection = self._connect()
        on_return = None if self._broker.is_redis else self._on_return  # only AMQP returns what no queue takes
        self._held.producer = Producer(connection.default_channel, auto_declare=False, on_return=on_return)
        return self._held.producer

    def _on_return(self, exception: Any, exchange: str, routing_key: str, message: Any) -> None:
        self._held.returned.append(routing_key)

    def _refusals(self) -> tuple[type[BaseException], ...]:
        """The broker's no to one message."""
        return (*self._transport().channel_errors, MessageNacked, Unroutable)

    def _losses(self) -> tuple[type[BaseException], ...]:
        """Nobody there to say yes or no."""
        return (*self._transport().connection_errors, KombuError, OSError)

    def _transport(self) -> Any:
        if self._known_transport is None:
            self._known_transport = self._app.connection_for_write().transport
        return self._known_transport


class Unroutable(Exception):
    """The broker has no queue of that name, although it was declared."""
