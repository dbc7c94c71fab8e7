"""Where a worker's messages come from and go back to: many fetched at once, many acknowledged at once."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import Any

from kombu.transport import virtual

from sagas_framework.transport.delivery import Delivery
from sagas_framework.vocabulary import json_text

logger = logging.getLogger(__name__)

MOST_SETTLED_BEYOND = 20_000
"""So many numbers are remembered beyond a message that is not settled: it may never be, being somebody else's."""


class Feed:
    """RabbitMQ's: the connection holds what was prefetched, and the messages of its channel are numbered from 1."""

    def __init__(self, consumer: Any) -> None:
        self.connection = consumer.connection
        self.errors: tuple[type[BaseException], ...] = consumer.connection_errors
        self._all_settled_up_to = 0
        self._settled_beyond: set[int] = set()
        self._counts = True

    def fetch(self, room: Callable[[], int]) -> None:
        """Lets the consumer receive what waits already, as long as there is room."""
        try:
            while room() > 0:
                self.connection.drain_events(timeout=0)
        except (TimeoutError, BlockingIOError):
            return

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """One acknowledgement covers a message and all before it: right only if all of those are settled or meant."""
        for delivery in deliveries:
            self._settle(delivery)
        covered = [delivery for delivery in deliveries if delivery.tag <= self._all_settled_up_to]
        if covered:
            max(covered, key=lambda delivery: int(delivery.tag)).acknowledge(self.errors, multiple=True)
        for delivery in deliveries:
            if delivery.tag > self._all_settled_up_to:
                delivery.acknowledge(self.errors)

    def give_back(self, deliveries: Collection[Delivery]) -> None:
        for delivery in deliveries:
            delivery.give_back(self.errors)
            self._settle(delivery)

    def _settle(self, delivery: Delivery) -> None:
        if len(self._settled_beyond) >= MOST_SETTLED_BEYOND:  # from here on each message is acknowledged by itself
            self._counts = False
            self._settled_beyond.clear()
        if not self._counts:
            return
        self._settled_beyond.add(delivery.tag)
        while self._all_settled_up_to + 1 in self._settled_beyond:
            self._all_settled_up_to += 1
            self._settled_beyond.remove(self._all_settled_up_to)


_TAKE_MANY = """
local function read(raw)
    local properties = cjson.decode(raw)['properties']
    local info = properties['delivery_info']
    local place = cjson.encode(info['exchange']) .. ',' .. cjson.encode(info['routing_key'])
    return {properties['delivery_tag'], '[' .. raw .. ',' .. place .. ']'}
end
local taken = {}
for _ = 1, tonumber(ARGV[1]) do
    local raw = redis.call('RPOP', KEYS[1])
    if not raw then break end
    local readable, message = pcall(read, raw)
    if not readable then
        redis.call('RPUSH', KEYS[1], raw)
        break
    end
    redis.call('ZADD', KEYS[2], ARGV[2], message[1])
    redis.call('HSET', KEYS[3], message[1], message[2])
    taken[#taken + 1] = raw
end
return taken
"""


class RedisFeed(Feed):
    """Redis's: a script takes many messages and records them as unacknowledged in one step.

    kombu does so for each message, and in two steps, between which a killed worker loses it. The keys and what is
    written there are kombu's, so that it restores these messages like its own. What the script cannot read (Redis's
    JSON is stricter than Python's) it leaves for kombu to take.
    """

    def __init__(self, consumer: Any) -> None:
        super().__init__(consumer)
        self._consumer = consumer

    @property
    def _channel(self) -> Any:
        return self._consumer.task_consumer.channel

    @cached_property
    def _take_many(self) -> Any:
        with self._channel.conn_or_acquire() as client:
            return client.register_script(_TAKE_MANY)

    def fetch(self, room: Callable[[], int]) -> None:
        channel = self._channel
        for queue in self._consumer.task_consumer.queues:
            allowed = channel.qos.can_consume_max_estimate()  # None: as many as there are
            wanted = room() if allowed is None else min(room(), allowed)
            if wanted > 0:
                keys = [queue.name, channel.unacked_index_key, channel.unacked_key]
                for raw in self._take_many(keys=keys, args=[wanted, time.time()]):
                    message = channel.Message(_read(raw), channel=channel)
                    virtual.QoS.append(channel.qos, message, message.delivery_tag)  # what the script did not do
                    self._consumer.task_consumer.on_message(message)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        channel = self._channel
        tags = [delivery.tag for delivery in deliveries]
        if not tags:
            return
        try:
            with channel.conn_or_acquire() as client, client.pipeline() as pipeline:
                pipeline.zrem(channel.unacked_index_key, *tags)
                pipeline.hdel(channel.unacked_key, *tags)
                pipeline.execute()
        except self.errors as error:
            logger.critical("%d messages could not be acknowledged, and will come again: %r", len(tags), error)
        self._make_room(deliveries)

    def give_back(self, deliveries: Collection[Delivery]) -> None:
        super().give_back(deliveries)
        self._make_room(deliveries)

    def _make_room(self, deliveries: Collection[Delivery]) -> None:
        """Even where Redis did not answer. A worker whose room is all taken asks Redis for nothing more: so it would
        not notice either that it has lost its connection, and wait for ever."""
        for delivery in deliveries:
            virtual.QoS.ack(self._channel.qos, delivery.tag)


def _read(raw: bytes | str) -> Any:
    try:
        return json_text.loads(raw)
    except ValueError:  # what only Python's own reader takes (infinity, say) is no reason to fail: it is judged later
        return json.loads(raw)


def feed_of(consumer: Any) -> Feed:
    return RedisFeed(consumer) if consumer.connection.transport.driver_type == "redis" else Feed(consumer)
