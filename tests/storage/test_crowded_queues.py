"""Asking again into a queue that has a backlog would only make it longer."""

import pytest
from sqlalchemy import Engine

from sagas_framework.definition.graph import Timing
from tests.support.orchestration import Bench, answer
from tests.support.sagas import OrderData, OrderSaga


@pytest.mark.rule(6)
@pytest.mark.parametrize("which", [0, 1], ids=["commands", "replies"])
def test_nothing_is_asked_again_while_its_queue_is_crowded_and_all_of_it_afterwards(bench: Bench, which: int) -> None:
    saga_id = bench.started(OrderSaga, OrderData(1))
    (command,) = bench.publisher.take()
    queue = (command.queue, bench.definitions[OrderSaga.name].response_queue)[which]
    bench.publisher.waiting = {queue: 200}
    for _ in range(3):
        assert bench.due_now(saga_id) == []
    assert "asked_again" not in bench.events(saga_id)
    bench.publisher.waiting = {queue: 199}
    (again,) = bench.due_now(saga_id)
    assert (again.id, again.task) == (command.id, command.task)


@pytest.mark.rule(6)
def test_a_crowded_queue_holds_up_no_answer_and_no_other_queue(bench: Bench) -> None:
    saga_id = bench.started(OrderSaga, OrderData(1))
    (command,) = bench.publisher.take()
    bench.publisher.waiting = {"somebody.elses": 10_000}
    assert len(bench.due_now(saga_id)) == 1
    bench.handle(answer(command, {"ticket_id": 5}))
    assert bench.state(saga_id).steps["create"].awaited is None


@pytest.mark.rule(6, 7)
def test_what_was_never_sent_is_sent_although_its_queue_stays_crowded_and_given_up_in_the_end(engine: Engine) -> None:
    """Its starter died before it published; and nobody ever empties the queue."""
    bench = Bench(engine, OrderSaga, timing=Timing(ask_again_after_seconds=30.0, give_up_after_seconds=600.0))
    bench.publisher.broken = True
    saga_id = bench.started(OrderSaga, OrderData(1))
    bench.publisher.broken = False
    bench.publisher.waiting = {"kitchen.commands": 200}
    looks = [bench.due_now(saga_id) for _ in range(4)]
    assert [len(sent) for sent in looks] == [0, 0, 0, 1]
    for _ in range(20):
        if "gave_up" not in bench.events(saga_id):
            bench.due_now(saga_id)
    assert "gave_up" in bench.events(saga_id)
