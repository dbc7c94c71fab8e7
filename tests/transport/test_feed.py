"""What a worker takes and acknowledges, many at once: never somebody else's, never what is held, never for good."""

from collections.abc import Sequence
from random import Random
from threading import Barrier
from typing import Any
from unittest import mock

import pytest
from kombu import Connection
from kombu.asynchronous import Hub
from redis.lock import Lock

from sagas_framework import Broker
from sagas_framework.transport import feed
from sagas_framework.transport.celery_app import REDIS_RESTORE_LOCK_SECONDS
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.inbox import Inbox
from sagas_framework.transport.wire import OutgoingMessage
from tests.support.own_brokers import own_broker
from tests.support.threads import in_threads
from tests.support.transport import (
    OURS,
    SOMEBODY_ELSES,
    Worker,
    ids_waiting,
    messages,
    numbered,
    publish,
    waiting,
    worker_on,
)

ROOM = 200


def ids_of(deliveries: list[Delivery]) -> list[str]:
    return [delivery.message_id for delivery in deliveries]


def mixed(count: int, of_others: set[int]) -> list[OutgoingMessage]:
    """One queue's messages, of which some are an ordinary Celery task's."""
    return [
        messages([one], task=SOMEBODY_ELSES if number in of_others else OURS)[0]
        for number, one in enumerate(numbered(count))
    ]


# ---- on both brokers ------------------------------------------------------------------------------------------------


def received_all(worker: Worker, count: int) -> list[Delivery]:
    """The first one as Celery hands it over, the rest as the feed fetches them."""
    worker.consume(until=1)
    while len(worker.received) + len(worker.others) < count:
        worker.feed.fetch(lambda: ROOM - len(worker.received))
    return list(worker.received)


@pytest.mark.rule(10)
def test_what_waits_is_fetched_in_its_order_and_is_gone_once_it_is_acknowledged(broker: Broker) -> None:
    publish(broker, messages(numbered(100)))
    with worker_on(broker) as worker:
        received = received_all(worker, 100)
        assert ids_of(received) == numbered(100)
        worker.feed.acknowledge(received)
    assert waiting(broker) == []


@pytest.mark.rule(5, 10)
def test_what_was_not_acknowledged_comes_back_when_a_worker_closes_its_connection(broker: Broker) -> None:
    publish(broker, messages(numbered(30)))
    with worker_on(broker) as worker:
        received = received_all(worker, 30)
        worker.feed.acknowledge([received[number] for number in (0, 1, 2, 7, 29)])
    expected = {one for number, one in enumerate(numbered(30)) if number not in (0, 1, 2, 7, 29)}
    assert set(ids_waiting(broker)) == expected


@pytest.mark.rule(10)
def test_what_is_given_back_is_delivered_once_more_and_says_so(broker: Broker) -> None:
    publish(broker, messages(numbered(10)))
    with worker_on(broker) as worker:
        received = received_all(worker, 10)
        worker.feed.give_back(received[3:5])
        worker.feed.acknowledge(received[:3] + received[5:])
    assert sorted(waiting(broker)) == [("m0003", True), ("m0004", True)]


@pytest.mark.rule(10)
@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_acknowledged_held_or_given_back_in_whatever_order_nothing_else_is(
    broker: Broker, seed: int
) -> None:
    """Some of the messages are an ordinary task's, in flight on the same channel all the while."""
    random, count = Random(seed), 60
    of_others = set(random.sample(range(count), seed % 3 * 2))
    publish(broker, mixed(count, of_others))
    expected = {numbered(count)[number] for number in of_others}
    with worker_on(broker) as worker:
        received_all(worker, count)
        received = list(worker.received)
        held: list[Delivery] = []
        while received or held:
            size = random.randint(1, 15)
            batch, received = (received + held)[:size], received[size:]
            held = [one for one in held if one not in batch]
            given_back = [one for one in batch if random.random() < 0.1]
            kept = [one for one in batch if one not in given_back and received and random.random() < 0.3]
            held += kept
            worker.feed.give_back(given_back)
            expected |= {one.message_id for one in given_back}
            worker.feed.acknowledge([one for one in batch if one not in given_back and one not in kept])
            if not received and random.random() < 0.3:
                break
        expected |= {one.message_id for one in held}
    assert set(ids_waiting(broker)) == expected


@pytest.mark.rule(15)
@pytest.mark.parametrize("prefetch", [1, 7])
def test_no_more_is_taken_than_the_worker_may_hold(broker: Broker, prefetch: int) -> None:
    publish(broker, messages(numbered(20)))
    with worker_on(broker, prefetch=prefetch) as worker:
        worker.consume(until=1)
        for _ in range(20):
            worker.feed.fetch(lambda: ROOM)
        assert len(worker.received) <= prefetch
        taken = received_all(worker, prefetch)
        worker.feed.acknowledge(taken[:1])
        received_all(worker, prefetch + 1)
        for _ in range(20):
            worker.feed.fetch(lambda: ROOM)
        assert len(worker.received) == prefetch + 1
    assert len(waiting(broker)) == 19


def test_no_more_is_fetched_than_there_is_room_for(redis: Broker) -> None:
    publish(redis, messages(numbered(20)))
    with worker_on(redis) as worker:
        worker.feed.fetch(lambda: 6 - len(worker.received))
        worker.feed.fetch(lambda: 0)
        worker.feed.fetch(lambda: -3)
        assert ids_of(worker.received) == numbered(6)


# ---- RabbitMQ: one acknowledgement for many -------------------------------------------------------------------------


@pytest.mark.rabbitmq
@pytest.mark.rule(10)
def test_a_batch_is_acknowledged_with_one_frame_when_nothing_before_it_is_open(rabbitmq: Broker) -> None:
    publish(rabbitmq, messages(numbered(100)))
    with worker_on(rabbitmq) as worker:
        received = received_all(worker, 100)
        channel = received[0]._message.channel
        with mock.patch.object(channel, "basic_ack", wraps=channel.basic_ack) as acks:
            worker.feed.acknowledge(received[:60])
            worker.feed.acknowledge(received[60:])
        assert acks.call_count == 2
    assert waiting(rabbitmq) == []


@pytest.mark.rabbitmq
@pytest.mark.rule(10)
def test_an_ordinary_task_in_flight_on_the_same_channel_is_never_acknowledged_with_ours(rabbitmq: Broker) -> None:
    publish(rabbitmq, mixed(30, {0, 11, 29}))
    with worker_on(rabbitmq) as worker:
        received_all(worker, 30)
        worker.feed.acknowledge(worker.received[5:])
        worker.feed.acknowledge(worker.received[:5])
    assert ids_waiting(rabbitmq) == ["m0000", "m0011", "m0029"]


@pytest.mark.rabbitmq
@pytest.mark.rule(10)
def test_a_message_held_before_a_batch_is_not_acknowledged_with_it_but_when_its_turn_comes(rabbitmq: Broker) -> None:
    publish(rabbitmq, messages(numbered(20)))
    with worker_on(rabbitmq) as worker:
        received = received_all(worker, 20)
        worker.feed.acknowledge(received[:4] + received[5:])
        with Connection(rabbitmq.url) as another:
            assert rabbitmq.queue("work")(another.default_channel).queue_declare(passive=True).message_count == 0
        worker.feed.acknowledge([received[4]])
    assert waiting(rabbitmq) == []


@pytest.mark.rabbitmq
def test_a_message_that_is_never_ours_to_settle_costs_memory_up_to_a_limit_and_no_correctness(
    rabbitmq: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MOST_SETTLED_BEYOND", 10)
    publish(rabbitmq, mixed(100, {0, 50}))
    with worker_on(rabbitmq) as worker:
        received_all(worker, 100)
        for number in range(0, 98, 7):
            worker.feed.acknowledge(worker.received[number : number + 7])
            assert len(worker.feed._settled_beyond) <= 10
    assert ids_waiting(rabbitmq) == ["m0000", "m0050"]


# ---- Redis: a script instead of a message at a time -----------------------------------------------------------------


def come_back(broker: Broker) -> None:
    """What happens once the visibility timeout has passed, when another worker looks: here it has none."""
    impatient = Broker(broker.url, visibility_timeout_seconds=0)
    with Connection(impatient.url, transport_options=impatient.transport_options()) as connection:
        connection.default_channel.qos.restore_visible(num=None)


@pytest.mark.redis
@pytest.mark.rule(5, 6)
def test_what_a_killed_worker_had_fetched_comes_back_whole_after_the_visibility_timeout(redis: Broker) -> None:
    """One had been taken by kombu, the others by the script; some had been acknowledged."""
    sent = messages(numbered(40))
    publish(redis, sent)
    with worker_on(redis) as killed, worker_on(redis) as another:
        received = received_all(killed, 40)
        killed.feed.acknowledge(received[:10])
        come_back(redis)
        again = received_all(another, 30)
        assert sorted(ids_of(again)) == numbered(40)[10:]
        assert all(delivery.redelivered for delivery in again)
        whole = {message.id: (message.body.encode(), message.headers() | {"redelivered": True}) for message in sent}
        for delivery in again:
            assert (delivery.body, delivery.headers) == whole[delivery.message_id]
        another.feed.acknowledge(again)
        come_back(redis)
        killed.feed.acknowledge(received)  # too late: by now they are another's, and nobody is harmed
    assert waiting(redis) == []


@pytest.mark.redis
def test_what_is_acknowledged_leaves_nothing_behind_in_redis(redis: Broker) -> None:
    publish(redis, messages(numbered(30)))
    with worker_on(redis) as worker:
        worker.feed.acknowledge(received_all(worker, 30))
        channel = worker.task_consumer.channel
        with channel.conn_or_acquire() as client:
            assert (client.hlen(channel.unacked_key), client.zcard(channel.unacked_index_key)) == (0, 0)


@pytest.mark.redis
@pytest.mark.rule(6)
def test_a_worker_that_dies_inside_the_script_loses_nothing(redis: Broker) -> None:
    """It is one step for Redis, so there is no inside: what is popped is recorded, whether or not anybody reads it."""
    publish(redis, messages(numbered(10)))
    with worker_on(redis) as worker, mock.patch.object(worker.feed, "_take_many", wraps=worker.feed._take_many) as take:  # type: ignore[attr-defined]

        def killed_before_it_reads(**arguments: Any) -> Any:
            take._mock_wraps(**arguments)
            raise SystemExit

        take.side_effect = killed_before_it_reads
        with pytest.raises(SystemExit):
            worker.feed.fetch(lambda: ROOM)
        assert worker.received == []
    assert waiting(redis) == []
    come_back(redis)
    assert sorted(waiting(redis)) == [(one, True) for one in numbered(10)]


@pytest.mark.redis
def test_a_worker_that_dies_while_it_restores_does_not_keep_the_others_from_it_for_long(redis: Broker) -> None:
    """kombu's lock would stay for five minutes, and nothing of any dead worker would be delivered again meanwhile."""
    with worker_on(redis) as worker:
        qos, client = worker.task_consumer.channel.qos, worker.task_consumer.channel.client
        with mock.patch.object(Lock, "release"):  # it does not come to that
            qos.restore_visible(interval=1)
        assert 0 < client.ttl(qos.unacked_mutex_key) <= REDIS_RESTORE_LOCK_SECONDS


@pytest.mark.redis
@pytest.mark.rule(5, 6)
@pytest.mark.parametrize("turn", range(6))
def test_while_a_batch_is_done_every_message_is_in_its_queue_or_recorded_as_taken(redis: Broker, turn: int) -> None:
    """kombu asks Redis for one message ahead. Were it asked before the batch is done, that message would be popped and
    lie in the worker's socket all the while. (The loop's own order is chance: hence several turns.)
    """
    publish(redis, messages(numbered(30)))
    somewhere: list[int] = []

    def count(batch: Sequence[Delivery]) -> None:
        with worker.task_consumer.channel.conn_or_acquire() as client:
            somewhere.append(client.llen("work") + client.hlen(worker.task_consumer.channel.unacked_key))

    with worker_on(redis) as worker:
        hub = Hub()
        worker.connection.register_with_event_loop(hub)
        worker.consumer.hub = hub
        receive = Inbox(count, max_batch=10).strategy(None, None, worker.consumer)
        worker.task_consumer.on_message = lambda message: receive(message, None, None, None, None)
        worker.task_consumer.consume()
        loop = hub.create_loop()
        while len(somewhere) < 3:
            next(loop)
        hub.close()
    assert somewhere[0] == 30
    assert sorted(somewhere, reverse=True) == [30, 20, 10]


@pytest.mark.redis
def test_workers_that_fetch_at_once_get_each_message_to_one_of_them(redis: Broker) -> None:
    publish(redis, messages(numbered(300)))
    workers, together = [Worker(redis, prefetch=1000) for _ in range(3)], Barrier(3)

    def fetch_all(worker: Worker) -> None:
        together.wait()
        seen = -1
        while len(worker.received) != seen:
            seen = len(worker.received)
            worker.feed.fetch(lambda: 7)

    in_threads([lambda worker=worker: fetch_all(worker) for worker in workers])  # type: ignore[misc]
    assert sorted(one for worker in workers for one in ids_of(worker.received)) == numbered(300)
    for worker in workers:
        worker.feed.acknowledge(worker.received)
        worker.close()
    assert waiting(redis) == []


ODD_HEADERS: dict[str, Any] = {
    "half a surrogate pair": "\ud83d",
    "not a number": float("nan"),
    "infinity": float("inf"),
    "nesting": "deep",
    "a number of many digits": 10**300,
    "slashes and quotes": 'a/b\\c"d\x7f\u2028',
}


@pytest.mark.redis
@pytest.mark.rule(4)
@pytest.mark.parametrize("what", ODD_HEADERS)
def test_a_message_with_an_odd_header_is_delivered_like_any_other_and_holds_up_none(redis: Broker, what: str) -> None:
    """Redis's JSON is stricter than Python's: what the script cannot read, kombu takes."""
    value = ODD_HEADERS[what]
    if value == "deep":
        value = []
        for _ in range(400):
            value = [value]
    before, odd, after = messages(["before", "odd", "after"])
    publish(redis, [before])
    with mock.patch.object(OutgoingMessage, "headers", lambda self: {"task": OURS, "id": self.id, "odd": value}):
        publish(redis, [odd])
    publish(redis, [after])
    with worker_on(redis) as worker:
        worker.feed.fetch(lambda: ROOM)
        worker.consume(until=2)
        received_all(worker, 3)
        assert sorted(ids_of(worker.received)) == ["after", "before", "odd"]
        worker.feed.acknowledge(worker.received)
    come_back(redis)
    assert waiting(redis) == []


@pytest.mark.redis
def test_without_a_prefetch_limit_there_is_only_the_room(redis: Broker) -> None:
    publish(redis, messages(numbered(20)))
    with worker_on(redis, prefetch=0) as worker:
        worker.feed.fetch(lambda: 12)
        assert len(worker.received) == 12


@pytest.mark.redis
@pytest.mark.rule(5)
@pytest.mark.parametrize("settle", ["acknowledge", "give_back"])
def test_what_could_not_be_settled_with_redis_away_comes_again_and_keeps_no_worker_from_receiving(
    settle: str,
) -> None:
    """A worker that believes its hands full asks for nothing, and so never learns that its connection is gone."""
    with own_broker("redis") as server:
        broker = Broker(server.url)
        publish(broker, messages(numbered(5)))
        with worker_on(broker, prefetch=5) as worker:
            received = received_all(worker, 5)
            assert worker.task_consumer.channel.qos.can_consume_max_estimate() == 0
            server.kill()
            getattr(worker.feed, settle)(received)
            assert worker.task_consumer.channel.qos.can_consume_max_estimate() == 5
            server.start()
        come_back(broker)
        assert sorted(ids_waiting(broker)) == numbered(5)
