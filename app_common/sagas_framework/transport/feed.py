"""Where a worker's messages come from and go back to: many fetched at once, many acknowledged at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import Any

from kombu.transport import virtual

from sagas_framework.transport.delivery import Delivery
from sagas_framework.vocabulary import json_text

logger = logging.getLogger(__name__)


class Feed:
    """RabbitMQ's: the connection holds what was prefetched, and the messages of its channel are numbered from 1."""

    def __init__(self, consumer: Any) -> None:
        self.connection = consumer.connection
        self.errors: tuple[type[BaseException], ...] = consumer.connection_errors
        self._all_settled_up_to = 0
        self._settled_beyond: set[int] = set()

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
        self._settled_beyond.add(delivery.tag)
        while self._all_settled_up_to + 1 in self._settled_beyond:
            self._all_settled_up_to += 1
            self._settled_beyond.remove(self._all_settled_up_to)


_TAKE_MANY = """
local taken = {}
for _ = 1, tonumber(ARGV[1]) do
    local raw = redis.call('RPOP', KEYS[1])
    if not raw then break end
    local properties = cjson.decode(raw)['properties']
    local tag, info = properties['delivery_tag'], properties['delivery_info']
    local place = cjson.encode(info['exchange']) .. ',' .. cjson.encode(info['routing_key'])
    redis.call('ZADD', KEYS[2], ARGV[2], tag)
    redis.call('HSET', KEYS[3], tag, '[' .. raw .. ',' .. place .. ']')
    taken[#taken + 1] = raw
end
return taken
"""


class RedisFeed(Feed):
    """Redis's: a script takes many messages and records them as unacknowledged in one step.

    kombu does so for each message, and in two steps, between which a killed worker loses it. The keys and what is
    written there are kombu's, so that it restores these messages like its own.
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
            wanted = min(room(), channel.qos.can_consume_max_estimate())
            if wanted > 0:
                keys = [queue.name, channel.unacked_index_key, channel.unacked_key]
                for raw in self._take_many(keys=keys, args=[wanted, time.time()]):
                    message = channel.Message(json_text.loads(raw), channel=channel)
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
            return
        for tag in tags:
            virtual.QoS.ack(channel.qos, tag)  # Redis knows it; this makes room for the next


def feed_of(consumer: Any) -> Feed:
    return RedisFeed(consumer) if consumer.connection.transport.driver_type == "redis" else Feed(consumer)
