"""What operators see of sagas and do to them, on both databases."""

import time

import pytest
from sqlalchemy import update

from sagas_framework import Failure, FailureKind, OperationRefused, Operations, UnknownSaga
from sagas_framework.operations import advice_for
from sagas_framework.storage.schema import instances
from tests.support import sagas
from tests.support.orchestration import Bench, answer, raw_delivery
from tests.support.sagas import OrderData, OrderSaga, QuietSaga

REFUSED = Failure("Refused", "the card is stolen", kind=FailureKind.REFUSED)


@pytest.fixture
def operations(bench: Bench) -> Operations:
    return Operations(bench)


def stuck_saga(bench: Bench) -> str:
    """Past its pivot, and its next step refused as often as its policy allows."""
    saga_id = bench.started(OrderSaga, OrderData(1))
    bench.handle(answer(bench.publisher.take()[0], {"ticket_id": 7}))
    bench.handle(answer(bench.publisher.take()[0]))
    bench.handle(answer(bench.publisher.take()[0], Failure("Broken", "no paper")))
    bench.due()
    bench.handle(answer(bench.publisher.take()[0], Failure("Broken", "no paper")))
    assert bench.status(saga_id) == "needs_attention"
    return saga_id


def test_the_newest_sagas_are_listed_first(bench: Bench, operations: Operations) -> None:
    started = [bench.started(OrderSaga, OrderData(number)) for number in range(5)]
    assert [saga.id for saga in operations.list()] == sorted(started, reverse=True)
    assert len(operations.list(limit=2)) == 2


def test_a_list_is_chosen_by_status_saga_and_age(bench: Bench, operations: Operations) -> None:
    order, quiet = bench.started(OrderSaga, OrderData(1)), bench.started(QuietSaga, OrderData(2))
    with bench.engine.begin() as connection:
        old = update(instances).where(instances.c.id == order).values(created_at=time.time() - 600)
        connection.execute(old)
        connection.execute(update(instances).where(instances.c.id == quiet).values(status="succeeded"))
    assert [saga.id for saga in operations.list(status="succeeded")] == [quiet]
    assert {saga.id for saga in operations.list(status=["succeeded", "running"])} == {order, quiet}
    assert [saga.id for saga in operations.list(saga="OrderSaga")] == [order]
    assert [saga.id for saga in operations.list(older_than_seconds=300)] == [order]
    assert operations.list(status="failed") == []


def test_a_saga_is_shown_with_its_steps_data_and_history(bench: Bench, operations: Operations) -> None:
    saga_id = bench.started(OrderSaga, OrderData(1), key="order 1")
    bench.handle(answer(bench.publisher.take()[0], {"ticket_id": 7}))
    saga = operations.show(saga_id)
    assert (saga.saga, saga.status, saga.current_step, saga.idempotency_key) == (
        "OrderSaga", "running", "charge", "order 1",
    )  # fmt: skip
    assert saga.data["ticket_id"] == 7
    assert saga.created_at.tzinfo is not None
    steps = {step.name: step for step in saga.steps}
    assert list(steps) == ["reserve", "create", "charge", "approve", "finish"]
    assert (steps["create"].command, steps["create"].compensation) == ("kitchen.create", "kitchen.reject")
    assert (steps["create"].queue, steps["reserve"].compensation) == ("kitchen.commands", "local")
    assert [step.phase for step in saga.steps] == ["done", "done", "acting", "waiting", "waiting"]
    assert steps["charge"].message_id == saga.last_message_id
    assert [entry.event for entry in saga.history] == bench.events(saga_id)
    assert saga.situation == "waits for the reply to charge"


def test_a_saga_whose_class_is_gone_is_shown_from_its_state(bench: Bench, operations: Operations) -> None:
    saga_id = bench.started(OrderSaga, OrderData(1))
    bench.definitions.clear()
    saga = operations.show(saga_id)
    assert {(step.name, step.kind) for step in saga.steps} == {("reserve", "unknown"), ("create", "unknown")}
    assert "begin saga" in operations.trace(saga_id)


@pytest.mark.parametrize("saga_id", ["7d444840-9dc0-41d1-b245-5ffdce74fad2", "no id at all", "", "\x00", "%", "0" * 32])
def test_an_id_that_no_saga_has_is_an_unknown_saga(operations: Operations, saga_id: str) -> None:
    for look in (operations.show, operations.trace):
        with pytest.raises(UnknownSaga):
            look(saga_id)
    with pytest.raises(UnknownSaga):
        operations.retry(saga_id, "why not")


def test_an_id_is_found_by_its_beginning(bench: Bench, operations: Operations) -> None:
    first, second = (bench.started(OrderSaga, OrderData(number)) for number in range(2))
    for saga_id in (first, second):
        assert operations.ids_beginning_with(saga_id[:30]) == [saga_id]
        assert operations.ids_beginning_with(saga_id.upper()) == [saga_id]
    assert set(operations.ids_beginning_with(first[:3])) == {first, second}
    assert operations.ids_beginning_with("ffffffff") == []
    assert operations.ids_beginning_with("' OR 1=1") == []


def test_a_stuck_saga_says_why_and_what_to_do(bench: Bench, operations: Operations) -> None:
    saga = operations.show(stuck_saga(bench))
    assert saga.situation == "approve failed: Broken: no paper"
    advice = advice_for(saga, saga.updated_at)
    assert [line.command for line in advice] == [f"sagas retry {saga.id} --reason '...'"]
    assert "only go forward" in advice[0].text
    assert operations.trace(saga.id).endswith("❌ approve (Broken: no paper)\n\n❗️ approve needs an operator")


def test_a_stuck_saga_goes_on_after_a_retry(bench: Bench, operations: Operations) -> None:
    saga_id = stuck_saga(bench)
    operations.retry(saga_id, "there is paper")
    assert bench.publisher.take() == []  # an operator's process sends nothing: a worker does
    bench.due()
    bench.handle(answer(bench.publisher.take()[0]))
    saga = operations.show(saga_id)
    assert (saga.status, saga.situation, advice_for(saga, saga.updated_at)) == ("succeeded", "", [])
    assert "❗️ retried by an operator (there is paper)" in operations.trace(saga_id)


def test_a_cancelled_saga_is_undone(bench: Bench, operations: Operations) -> None:
    saga_id = bench.started(OrderSaga, OrderData(1))
    bench.handle(answer(bench.publisher.take()[0], {"ticket_id": 7}))
    bench.handle(answer(bench.publisher.take()[0], REFUSED))
    bench.handle(answer(bench.publisher.take()[0]))
    assert operations.show(saga_id).situation == "charge: the card is stolen"
    with pytest.raises(OperationRefused, match="ended"):
        operations.cancel(saga_id, "too late")


def test_cancelling_is_refused_past_the_point_of_no_return(bench: Bench, operations: Operations) -> None:
    with pytest.raises(OperationRefused, match="point of no return"):
        operations.cancel(stuck_saga(bench), "please")


def test_a_paused_saga_says_how_it_goes_on(bench: Bench, operations: Operations) -> None:
    saga_id = bench.started(OrderSaga, OrderData(1))
    operations.pause(saga_id, "stock-taking")
    saga = operations.show(saga_id)
    assert saga.paused and saga.situation.startswith("paused")
    assert [line.command for line in advice_for(saga, saga.updated_at)] == [f"sagas resume {saga_id}"]
    operations.resume(saga_id)
    assert not operations.show(saga_id).paused


def test_what_the_hook_at_the_end_raised_is_told(bench: Bench, operations: Operations) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("the printer burns")

    sagas.hooks["finish"] = broken
    saga_id = bench.started(OrderSaga, OrderData(1))
    for value in ({"ticket_id": 7}, None, None):
        bench.handle(answer(bench.publisher.take()[0], value))
    saga = operations.show(saga_id)
    assert "finish" in saga.situation and "the printer burns" in saga.situation


def test_reading_waits_for_no_writer(bench: Bench, operations: Operations) -> None:
    saga_id = bench.started(OrderSaga, OrderData(1))
    with bench.engine.begin() as writer:
        writer.execute(update(instances).where(instances.c.id == saga_id).values(paused=True))
        assert not operations.show(saga_id).paused
        assert len(operations.list()) == 1


def test_kept_messages_are_told_of_the_saga_that_they_name(bench: Bench, operations: Operations) -> None:
    saga_id = bench.started(OrderSaga, OrderData(1))
    task = "kitchen.create.response.success"
    bench.handle(raw_delivery(f'[["{saga_id}", {{}}], {{}}, {{}}]', task, parent_id="nobody's"))
    bench.handle(raw_delivery("nonsense", task))
    assert [message.saga_id for message in operations.kept()] == [None, saga_id]
    (message,) = operations.kept(saga_id=saga_id)
    assert (message.queue, message.times, message.complete) == ("replies", 1, True)
    assert message.headers is not None and message.headers["parent_id"] == "nobody's"
