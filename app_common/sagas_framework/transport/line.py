"""An open connection that messages are published on: all of them go out before the first confirmation is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from amqp.exceptions import MessageNacked
from kombu import Connection, Producer, Queue

from sagas_framework.transport.wire import OutgoingMessage


class Unroutable(Exception):
    """The broker has no queue of that name, although it was declared."""


class Line:
    """For brokers without confirmations: the messages leave in one round trip, whose answer stands for all of them."""

    def __init__(self, connection: Connection, queue_of: Callable[[str], Queue]) -> None:
        self.connection = connection
        self.unconfirmed: dict[int, OutgoingMessage] = {}
        self.refused: dict[str, Exception] = {}
        self._queue_of = queue_of
        self._declared: set[str] = set()
        self._channel = connection.default_channel
        self._producer = Producer(self._channel, auto_declare=False)

    def send(self, messages: Sequence[OutgoingMessage]) -> None:
        """`refused` holds what the broker refused, by id; when this raises, `unconfirmed` what may not have arrived."""
        self.unconfirmed = dict(enumerate(messages))
        self._declare(messages)
        with self._producer.batch(max_size=len(messages)):
            for message in messages:
                self._publish(message)
        self.unconfirmed = {}

    def _declare(self, messages: Sequence[OutgoingMessage]) -> None:
        for name in {message.queue for message in messages} - self._declared:
            self._queue_of(name)(self._channel).declare()
            self._declared.add(name)

    def _publish(self, message: OutgoingMessage) -> None:
        self._producer.publish(
            message.body,
            routing_key=message.queue,
            content_type="application/json",
            content_encoding="utf-8",
            headers=message.headers(),
            mandatory=True,
            correlation_id=message.id,
            delivery_mode=2,
        )


class ConfirmingLine(Line):
    """RabbitMQ's: the broker confirms each message by its number on the channel, several at once when it can."""

    def __init__(self, connection: Connection, queue_of: Callable[[str], Queue], timeout_seconds: float) -> None:
        super().__init__(connection, queue_of)
        self._timeout_seconds = timeout_seconds
        self._number = 0
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._confirmed)
        self._channel.events["basic_nack"].add(self._nacked)
        self._channel.events["basic_return"].add(self._returned)

    def send(self, messages: Sequence[OutgoingMessage]) -> None:
        self.refused = {}
        self.unconfirmed = {self._number + place: message for place, message in enumerate(messages, start=1)}
        self._declare(messages)
        for message in messages:
            self._publish(message)
            self._number += 1
        last_moment = time.monotonic() + self._timeout_seconds
        while self.unconfirmed:
            self.connection.drain_events(timeout=max(last_moment - time.monotonic(), 0.001))

    def _confirmed(self, number: int, multiple: bool) -> None:
        self._settle(number, multiple)

    def _nacked(self, number: int, multiple: bool) -> None:
        for message in self._settle(number, multiple):
            self.refused[message.id] = MessageNacked(f"the queue {message.queue!r} does not take it")

    def _returned(self, error: Exception, exchange: str, routing_key: str, message: Any) -> None:
        """Comes before the confirmation, which a message that no queue took gets as well."""
        refused = message.properties.get("correlation_id")
        self.refused[refused] = Unroutable(f"no queue {routing_key!r} took it")

    def _settle(self, number: int, multiple: bool) -> list[OutgoingMessage]:
        numbers = [one for one in self.unconfirmed if one <= number] if multiple else [number]
        return [self.unconfirmed.pop(one) for one in numbers if one in self.unconfirmed]
