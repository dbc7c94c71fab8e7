"""Many messages in flight at once: who fails is named, nobody else suffers, and the order is kept."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any
from unittest import mock

import pytest
from kombu import Connection, Queue

from sagas_framework import Broker
from sagas_framework.errors import PublishFailed
from sagas_framework.transport.line import ConfirmingLine, Line
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import OutgoingMessage
from tests.support.own_brokers import OwnBroker, own_broker
from tests.support.transport import ids_waiting, messages, numbered, publisher_on

ROOM_IN_FULL = 3


class WithOneThatFills(Broker):
    """Its queue `full` takes a few messages and refuses the rest."""

    def queue(self, name: str) -> Queue:
        queue = super().queue(name)
        if name == "full":
            queue.queue_arguments = {"x-max-length": ROOM_IN_FULL, "x-overflow": "reject-publish"}
        return queue


@pytest.fixture
def filling(rabbitmq: Broker) -> WithOneThatFills:
    return WithOneThatFills(rabbitmq.url)


@pytest.fixture
def publisher(filling: WithOneThatFills) -> Iterator[Publisher]:
    with publisher_on(filling) as publisher:
        yield publisher


def declare_otherwise(broker: Broker, name: str) -> None:
    with Connection(broker.url) as connection:
        Queue(name, durable=True, queue_arguments={"x-max-length": 1})(connection.default_channel).queue_declare()


def delete(broker: Broker, name: str) -> None:
    with Connection(broker.url) as connection:
        connection.default_channel.queue_delete(name)


def refused_of(publisher: Publisher, sent: list[OutgoingMessage]) -> set[str]:
    with pytest.raises(PublishFailed) as failed:
        publisher.publish(sent)
    return set(failed.value.message_ids)


def spread(count: int, queues: list[str], seed: int) -> list[OutgoingMessage]:
    random = Random(seed)
    return [messages([one], queue=random.choice(queues))[0] for one in numbered(count)]


def ids_for(sent: list[OutgoingMessage], queue: str) -> list[str]:
    return [message.id for message in sent if message.queue == queue]


# ---- who is refused -------------------------------------------------------------------------------------------------


@pytest.mark.rule(10)
def test_a_hundred_messages_arrive_in_their_order(broker: Broker) -> None:
    with publisher_on(broker) as publisher:
        publisher.publish(messages(numbered(100)))
        publisher.publish(messages(numbered(100, "n")))
        publisher.publish([])
    assert ids_waiting(broker) == numbered(100) + numbered(100, "n")


@pytest.mark.rabbitmq
@pytest.mark.rule(10)
def test_a_full_queue_refuses_its_own_messages_and_holds_up_no_other(
    publisher: Publisher, filling: WithOneThatFills
) -> None:
    sent = spread(100, ["good", "full"], 1)
    assert refused_of(publisher, sent) == set(ids_for(sent, "full")[ROOM_IN_FULL:])
    assert ids_waiting(filling, "good") == ids_for(sent, "good")
    assert ids_waiting(filling, "full") == ids_for(sent, "full")[:ROOM_IN_FULL]


@pytest.mark.rabbitmq
@pytest.mark.rule(10)
def test_a_queue_that_was_declared_otherwise_fails_its_own_messages_and_holds_up_no_other(
    publisher: Publisher, filling: WithOneThatFills
) -> None:
    """The broker answers that by closing the channel under all of them."""
    declare_otherwise(filling, "otherwise")
    sent = spread(100, ["good", "better", "otherwise"], 2)
    assert refused_of(publisher, sent) == set(ids_for(sent, "otherwise"))
    for queue in ("good", "better"):
        assert ids_waiting(filling, queue) == ids_for(sent, queue)
    assert ids_waiting(filling, "otherwise") == []


@pytest.mark.rabbitmq
@pytest.mark.rule(10)
def test_a_queue_that_was_deleted_under_the_publisher_fails_once_and_is_declared_anew(
    publisher: Publisher, filling: WithOneThatFills
) -> None:
    publisher.publish(messages(["before"], queue="gone"))
    delete(filling, "gone")
    sent = spread(100, ["good", "gone"], 3)
    assert refused_of(publisher, sent) == set(ids_for(sent, "gone"))
    assert ids_waiting(filling, "good") == ids_for(sent, "good")
    publisher.publish([message for message in sent if message.queue == "gone"])
    assert ids_waiting(filling, "gone") == ids_for(sent, "gone")


@pytest.mark.rabbitmq
@pytest.mark.rule(10)
@pytest.mark.parametrize("seed", range(4))
def test_all_of_this_at_once_names_exactly_those_that_did_not_arrive(
    publisher: Publisher, filling: WithOneThatFills, seed: int
) -> None:
    publisher.publish(messages(["before"], queue="gone"))
    delete(filling, "gone")
    declare_otherwise(filling, "otherwise")
    sent = spread(100, ["good", "better", "full", "otherwise", "gone"], seed)
    refused = refused_of(publisher, sent)
    arrived = {queue: ids_waiting(filling, queue) for queue in ("good", "better", "full", "otherwise", "gone")}
    assert refused == {message.id for message in sent} - {one for ids in arrived.values() for one in ids}
    for queue in ("good", "better"):
        assert arrived[queue] == ids_for(sent, queue)
    assert set(ids_for(sent, "full")[ROOM_IN_FULL:]) | set(ids_for(sent, "otherwise")) <= refused
    with publisher_on(filling) as another:
        another.publish(messages(["after"], queue="good"))
    assert ids_waiting(filling, "good") == ["after"]


@pytest.mark.rabbitmq
@pytest.mark.rule(10)
def test_one_publish_that_failed_is_not_remembered_against_the_next(publisher: Publisher, filling: Broker) -> None:
    refused_of(publisher, messages(numbered(10), queue="full"))
    publisher.publish(messages(["next"], queue="good"))
    assert ids_waiting(filling, "good") == ["next"]


# ---- who is lost ----------------------------------------------------------------------------------------------------


@pytest.mark.rabbitmq
@pytest.mark.rule(10)
@pytest.mark.parametrize("refused_queue", ["full", "gone"])
def test_a_message_that_was_refused_before_the_connection_was_lost_is_still_named(
    publisher: Publisher, filling: WithOneThatFills, refused_queue: str
) -> None:
    """The others are sent once more on a new connection; who was refused on the old one is not among them."""
    publisher.publish(messages(["before"], queue="gone") + messages(["first", "second", "third"], queue="full"))
    delete(filling, "gone")
    sent = messages(["refused"], queue=refused_queue) + messages(numbered(20), queue="good")
    lost: list[bool] = []
    line = publisher._line()
    assert isinstance(line, ConfirmingLine)
    drain = line.connection.drain_events

    def lose_it_then(**options: Any) -> Any:
        if line.refused and "refused" not in [message.id for message in line.unconfirmed.values()]:
            lost.append(True)
            raise ConnectionResetError("as a cable that was pulled")
        return drain(**options)

    def one_at_a_time(number: int, multiple: bool) -> None:
        if not line.refused or number == 5:  # whatever else is confirmed in between is another story
            settle(number, multiple)

    settle = line._confirmed
    line._channel.events["basic_ack"].discard(settle)
    line._channel.events["basic_ack"].add(one_at_a_time)
    with mock.patch.object(line.connection, "drain_events", lose_it_then):
        refused = refused_of(publisher, sent)
    assert lost == [True]
    assert refused == {"refused"}
    assert set(ids_waiting(filling, "good")) == set(numbered(20))


@pytest.fixture(
    params=[pytest.param("redis", marks=pytest.mark.redis), pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)]
)
def mortal(request: pytest.FixtureRequest) -> Iterator[OwnBroker]:
    with own_broker(request.param) as broker:
        yield broker


def first_time(work: Callable[[], None]) -> Callable[..., None]:
    begun: list[bool] = []

    def once(*arguments: Any) -> None:
        if not begun:
            begun.append(True)
            work()

    return once


@pytest.mark.rule(10)
def test_a_broker_that_is_killed_in_the_middle_leaves_only_those_unnamed_that_it_has(mortal: OwnBroker) -> None:
    """Named is whoever is not confirmed: it may have arrived. Unnamed is only who is there after a restart."""
    broker, count = Broker(mortal.url), 3000
    sent = messages(numbered(count))
    with publisher_on(broker) as publisher:
        publisher.publish(messages(["before"]))
        strike = first_time(mortal.kill)
        if broker.is_redis:
            publish_one, seen = Line._publish, []

            def publish_and_strike(line: Line, message: OutgoingMessage) -> None:
                publish_one(line, message)
                seen.append(message)
                if len(seen) == count // 2:
                    strike()

            struck: Any = mock.patch.object(Line, "_publish", publish_and_strike)
        else:
            line = publisher._line()
            assert isinstance(line, ConfirmingLine)
            line._channel.events["basic_ack"].add(strike)
            struck = mock.patch.object(publisher, "_known_transport", publisher._known_transport)
        with struck:
            refused = refused_of(publisher, sent)
        mortal.start()
        arrived = ids_waiting(broker)
        assert arrived[0] == "before"
        assert refused, "it was killed in the middle"
        assert {message.id for message in sent} - refused <= set(arrived)
        assert arrived[1:] == sorted(arrived[1:]), "those that arrived keep their order"
        publisher.publish([message for message in sent if message.id in refused])
    assert ids_waiting(broker) == sorted(refused)


@pytest.mark.rule(10)
def test_a_connection_that_went_stale_while_nobody_published_is_replaced_without_a_word(mortal: OwnBroker) -> None:
    broker = Broker(mortal.url)
    with publisher_on(broker) as publisher:
        publisher.publish(messages(["before"]))
        mortal.kill()
        mortal.start()
        publisher.publish(messages(numbered(50)))
    assert set(numbered(50)) <= set(ids_waiting(broker))


@pytest.mark.rule(10)
def test_with_the_broker_away_all_are_named(mortal: OwnBroker) -> None:
    with publisher_on(Broker(mortal.url)) as publisher:
        mortal.kill()
        assert refused_of(publisher, messages(numbered(100))) == set(numbered(100))


@pytest.mark.rabbitmq
@pytest.mark.rule(10)
def test_a_broker_that_confirms_nothing_is_waited_for_no_longer_than_was_said(rabbitmq: Broker) -> None:
    with publisher_on(rabbitmq, timeout_seconds=0.2) as publisher:
        publisher.publish(messages(["before"]))
        line = publisher._line()
        assert isinstance(line, ConfirmingLine)
        line._channel.events["basic_ack"].clear()
        line._channel.events["basic_ack"].add(lambda number, multiple: None)
        assert refused_of(publisher, messages(numbered(10))) == set(numbered(10))
