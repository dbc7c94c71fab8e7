"""Asking again into a queue that has a backlog would only make it longer."""

import pytest

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
