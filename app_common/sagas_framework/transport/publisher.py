"""Publishing on a connection that is kept open, and returning only when the broker has taken everything."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from typing import Any

from amqp.exceptions import MessageNacked
from celery import Celery
from kombu import Connection
from kombu.exceptions import KombuError

from sagas_framework.errors import PublishFailed
from sagas_framework.transport.celery_app import Broker
from sagas_framework.transport.line import ConfirmingLine, Line, Unroutable
from sagas_framework.transport.wire import OutgoingMessage

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_SECONDS = 1.0
CONFIRM_TIMEOUT_SECONDS = 10.0


class Publisher:
    """One held connection for each thread that publishes; a forked child opens its own.

    `timeout_seconds` bounds the wait for the broker's confirmations.
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
        may_reconnect = self._line() is not None
        last_moment = time.monotonic() + self._timeout_seconds
        waiting, window = list(messages), len(messages)
        while waiting:
            sent, waiting = waiting[:window], waiting[window:]
            try:
                line = self._line() or self._open()
                line.send(sent)
                refused |= line.refused
            except self._refusals() as error:
                window, unconfirmed = 1, self._unconfirmed(sent, refused)
                if len(unconfirmed) == 1:
                    refused[unconfirmed.pop().id] = error
                waiting = unconfirmed + waiting  # one by one from here on: the channel did not say which of them it was
                self.close()
            except self._losses() as error:
                waiting = self._unconfirmed(sent, refused) + waiting
                self.close()
                if not may_reconnect or time.monotonic() >= last_moment:
                    refused |= {message.id: error for message in waiting}
                    break
                may_reconnect = False
        if refused:
            self.close()  # queues are declared anew before the next try
            first = next(iter(refused.values()))
            what = f"{len(refused)} of {len(messages)} messages"
            raise PublishFailed(f"the broker did not take {what}: {first!r}", frozenset(refused)) from first

    def check(self) -> None:
        """Raises PublishFailed unless the broker answers."""
        try:
            (self._line() or self._open()).connection.channel().close()  # a round trip on either broker
        except (*self._refusals(), *self._losses()) as error:
            self.close()
            raise PublishFailed(f"the broker does not answer: {error}") from error

    def backlog(self, queue: str) -> int:
        """How many messages wait in a queue; none where there is no such queue. PublishFailed: no answer."""
        try:
            with (self._line() or self._open()).connection.channel() as channel:
                return int(channel.queue_declare(queue, passive=True).message_count)
        except self._refusals():
            return 0
        except self._losses() as error:
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

    def _line(self) -> Line | None:
        line: Line | None = getattr(self._held, "line", None)
        return line if getattr(self._held, "pid", None) == os.getpid() else None

    def _unconfirmed(self, sent: Sequence[OutgoingMessage], refused: dict[str, BaseException]) -> list[OutgoingMessage]:
        """What is to be sent once more after an error; what the broker had refused before it is noted in `refused`."""
        line = self._line()
        if line is None:
            return list(sent)
        unconfirmed = list(line.unconfirmed.values())
        again = {message.id for message in unconfirmed}
        refused |= {refused_id: error for refused_id, error in line.refused.items() if refused_id not in again}
        return unconfirmed

    def _open(self) -> Line:
        connection = self._connect()
        if self._broker.confirms:
            self._held.line = ConfirmingLine(connection, self._broker.queue, self._timeout_seconds)
        else:
            self._held.line = Line(connection, self._broker.queue)
        line: Line = self._held.line
        return line

    def _connect(self) -> Connection:
        options = dict(self._broker.transport_options()) | self._options()
        connection = self._app.connection_for_write(
            heartbeat=0, connect_timeout=CONNECT_TIMEOUT_SECONDS, transport_options=options
        )
        # Not `connect()`: that one sleeps for two seconds before it tries once more.
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=CONNECT_TIMEOUT_SECONDS)
        self._held.connection = connection
        self._held.pid = os.getpid()
        return connection

    def _options(self) -> dict[str, Any]:
        if self._broker.is_redis:
            return {"socket_timeout": self._timeout_seconds, "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS}
        if self._broker.confirms:
            return {
                "write_timeout": self._timeout_seconds,
                "confirm_publish": False,  # the line waits for the confirmations itself, many at once
                # py-amqp would look before every message whether the broker says that it is out of memory, and do
                # nothing about it; that no confirmation comes says the same.
                "client_properties": {"capabilities": {"connection.blocked": False}},
            }
        return {}

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
