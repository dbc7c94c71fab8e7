"""Messages kept for the operator: kept whole, sent once more as they were, or discarded with a reason."""

import logging
import uuid
from types import SimpleNamespace
from typing import Any, cast

import pytest
from celery import Celery, Task
from kombu import Connection
from sqlalchemy import Engine

from sagas_framework import Broker, Participant
from sagas_framework.delivery.kept import kept_of
from sagas_framework.errors import MessageStays, PublishFailed, UnknownMessage
from sagas_framework.operations import KeptMessages, Operations
from sagas_framework.participant.handlers import Work
from sagas_framework.participant.order import order_of_task
from sagas_framework.storage import keeping, memory
from sagas_framework.storage.memory import Memory, MemoryKey
from sagas_framework.transport.celery_app import create_celery_app
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.wire import OutgoingMessage, read_arguments, task_body
from sagas_framework.vocabulary.correlation import Correlation
from sagas_framework.vocabulary.identity import Direction
from tests.support.orchestration import Bench, FakeMessage, delivery_of
from tests.support.sagas import OrderData, OrderSaga

NOW = 1_800_000_000.0


class Keeper:
    """The part of a participant that keeps messages, with a broker inside this process."""

    def __init__(self, engine: Engine, queue: str) -> None:
        self.engine = engine
        self.queue = queue
        self.broker = Broker("memory://")
        self.app: Celery = create_celery_app("kitchen", self.broker, [queue], batches=False)
        self.messages = KeptMessages(self)

    def command(self, **changes: Any) -> OutgoingMessage:
        place: dict[str, Any] = {"reply_queue": "order_replies"} | changes
        header = Correlation("orders", "saga-1", "create", Direction.ACTION, 1, **place).to_header()
        return OutgoingMessage(self.queue, "kitchen.create", "id-1", task_body("saga-1", {"a": "ß"}), None, header)

    def keep(self, *deliveries: Delivery, reason: str = "it has killed its worker too often") -> int:
        """The number of the last one."""
        with self.engine.begin() as connection:
            keeping.keep(connection, [kept_of(delivery, reason) for delivery in deliveries], NOW)
        return self.messages.list()[0].id

    def queued(self) -> list[tuple[dict[str, Any], str]]:
        """(headers, body) of everything in the queue, which is empty then."""
        found = []
        with Connection("memory://") as connection:
            channel = connection.channel()
            while (message := channel.basic_get(self.queue, no_ack=True)) is not None:
                found.append((message.headers, message.body.decode()))
        return found


@pytest.fixture
def keeper(engine: Engine) -> Keeper:
    return Keeper(engine, f"commands-{uuid.uuid4()}")


def test_a_requeued_message_goes_out_as_it_came_and_is_forgotten(keeper: Keeper) -> None:
    message = keeper.command()
    number = keeper.keep(delivery_of(message))
    keeper.messages.requeue(number, "the kitchen is repaired")
    ((headers, body),) = keeper.queued()
    assert (headers, body) == (message.headers(), message.body)
    assert keeper.messages.list() == []


def test_a_message_stays_kept_when_the_broker_does_not_confirm(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    number = keeper.keep(delivery_of(keeper.command()))

    def refuse(*arguments: object) -> None:
        raise PublishFailed("the broker is away")

    monkeypatch.setattr("sagas_framework.operations.kept.Publisher.publish", refuse)
    with pytest.raises(PublishFailed):
        keeper.messages.requeue(number)
    assert [message.id for message in keeper.messages.list()] == [number]


@pytest.mark.parametrize(
    ("body", "content_type", "headers"),
    [
        ("x" * (keeping.MAX_KEPT_BODY_CHARACTERS + 1), "application/json", {}),
        ("one\x00two", "application/json", {}),
        (b"\xff\xfe", "application/json", {}),
        ("[]", "application/json", {"bytes": b"raw"}),
        ("[]", "application/json", {"number": float("nan")}),
        ("[]", "application/json", {"text": "\x00"}),
        ("[]", "application/json", {"large": "x" * 100_000}),
        ("[]", "application/x-python-serialize", {}),
        ("[]", None, {}),
    ],
)
def test_what_was_not_kept_as_it_was_or_is_never_read_is_not_requeued(
    keeper: Keeper, body: str | bytes, content_type: str | None, headers: dict[str, Any]
) -> None:
    info = {"routing_key": keeper.queue}
    number = keeper.keep(Delivery(FakeMessage({"task": "a", "id": "b"} | headers, body, content_type, info)))
    with pytest.raises(MessageStays, match=f"kept message {number} cannot be requeued"):
        keeper.messages.requeue(number)
    assert keeper.queued() == []
    assert keeper.messages.show(number).id == number


def test_a_message_as_long_as_any_that_is_read_is_kept_whole(keeper: Keeper) -> None:
    body = "x" * keeping.MAX_KEPT_BODY_CHARACTERS
    number = keeper.keep(Delivery(FakeMessage({"task": "a", "id": "b"}, body, delivery_info={"routing_key": "q"})))
    kept = keeper.messages.show(number)
    assert kept.complete and kept.body == body


def test_headers_nested_without_end_are_cut_and_not_followed(keeper: Keeper) -> None:
    endless: dict[str, Any] = {}
    endless["self"] = endless
    number = keeper.keep(Delivery(FakeMessage({"task": "a", "id": "b", "x": endless}, "[]")))
    assert not keeper.messages.show(number).complete


def test_a_requeued_command_is_no_longer_parked_nor_counted_as_poison(keeper: Keeper) -> None:
    key = MemoryKey("orders", "saga-1", "create")
    with keeper.engine.begin() as connection:
        memory.take(connection, [key], NOW)
        memory.park(connection, key, Direction.ACTION)
        keeping.count_deliveries(connection, ["id-1"], NOW)
    keeper.messages.requeue(keeper.keep(delivery_of(keeper.command())))
    with keeper.engine.begin() as connection:
        assert not memory.take(connection, [key], NOW)[key].parked
        assert keeping.begun_deliveries(connection, ["id-1"]) == {}


@pytest.mark.parametrize(("reply_queue", "remembered"), [("order_replies", "failed"), (None, None)])
def test_only_a_command_that_nobody_awaits_forgets_its_failure(
    keeper: Keeper, reply_queue: str | None, remembered: str | None
) -> None:
    key = MemoryKey("orders", "saga-1", "create")
    with keeper.engine.begin() as connection:
        memory.take(connection, [key], NOW)
        memory.remember(connection, {key: Memory(outcome="failed", attempt=1)}, 2.0)
    keeper.messages.requeue(keeper.keep(delivery_of(keeper.command(reply_queue=reply_queue))))
    with keeper.engine.begin() as connection:
        assert memory.take(connection, [key], NOW)[key].outcome == remembered


def test_a_discarded_message_is_gone_and_the_log_says_why(keeper: Keeper, caplog: pytest.LogCaptureFixture) -> None:
    number = keeper.keep(delivery_of(keeper.command()))
    with caplog.at_level(logging.WARNING):
        keeper.messages.discard(number, "the customer moved away")
    assert keeper.messages.list() == [] and keeper.queued() == []
    assert "kitchen.create id-1" in caplog.text and "the customer moved away" in caplog.text


def test_the_number_of_a_message_never_comes_to_mean_another_one(keeper: Keeper) -> None:
    first = keeper.keep(delivery_of(keeper.command()))
    keeper.messages.discard(first, "not needed")
    second = keeper.keep(delivery_of(keeper.command()))
    assert second > first
    for act in (keeper.messages.requeue, keeper.messages.show):
        with pytest.raises(UnknownMessage):
            act(first)
    with pytest.raises(UnknownMessage):
        keeper.messages.discard(first, "again")


def test_a_message_that_comes_again_is_counted_and_not_kept_twice(keeper: Keeper) -> None:
    delivery = delivery_of(keeper.command())
    number = keeper.keep(delivery, delivery, reason="once more")
    assert [(message.id, message.times) for message in keeper.messages.list()] == [(number, 2)]


def test_the_history_of_a_saga_says_what_became_of_its_messages(bench: Bench) -> None:
    saga_id = bench.started(OrderSaga, OrderData(1))
    keeper = Keeper(bench.engine, f"replies-{uuid.uuid4()}")
    with bench.engine.begin() as connection:
        reply = OutgoingMessage(keeper.queue, "kitchen.create.response.success", "r", "[]", None, None)
        keeping.keep(connection, [kept_of(delivery_of(reply), "nonsense", saga_id)], NOW)
    keeper.messages.discard(keeper.messages.list()[0].id, "it is nonsense")
    assert bench.events(saga_id)[-1] == "message_discarded"
    assert "❗️ kept message discarded by an operator (it is nonsense)" in Operations(bench).trace(saga_id)


def test_a_command_that_a_participant_kept_can_be_read_again_when_requeued() -> None:
    """A participant keeps what is left of a command after Celery has taken it apart."""
    header = Correlation("orders", "saga-1", "create", Direction.ACTION, 1, reply_queue="order_replies").to_header()
    request = SimpleNamespace(id="id-1", sagas=header, delivery_info={"routing_key": "kitchen"}, parent_id=None)
    task = cast(Task, SimpleNamespace(name="kitchen.create", request=request))
    order = order_of_task(
        task,
        "saga-1",
        {"a": 1},
        Work("kitchen.create", lambda payload, step: None, lambda response: response, None, ()),
    )
    kept = order.kept("it has killed its worker too often")
    assert read_arguments(kept.body, kept.content_type) == ("saga-1", {"a": 1})
    assert (kept.headers["task"], kept.headers["id"], kept.queue) == ("kitchen.create", "id-1", "kitchen")
    assert Correlation.from_headers(kept.headers) == Correlation.from_headers({"sagas": header})


def test_a_participant_without_a_database_says_that_it_keeps_nothing() -> None:
    broker = Broker("memory://")
    app = create_celery_app("kitchen", broker, ["kitchen"], batches=False)
    with pytest.raises(Exception, match="without a database"):
        KeptMessages(Participant("kitchen", app, broker, None)).list()
