"""What operators see of each kind of step, on real databases."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from sqlalchemy import Engine

from sagas_framework import (
    PIVOT,
    AsyncStep,
    DefinitionError,
    Failure,
    FailureKind,
    OperationRefused,
    Operations,
    Sleep,
    SyncStep,
    WaitForSignal,
    choice,
    parallel,
    when,
)
from sagas_framework.engine.protocol import Cancel, Unhandled
from sagas_framework.operations import Parent, SagaDetails, StepView, advice_for, doctor
from sagas_framework.operations.doctor import MANY_ASKS
from sagas_framework.orchestrator.instance import Arrival
from sagas_framework.vocabulary.identity import child_saga_id
from tests.storage.test_children import Order, PlaceOrder, ShipParcel
from tests.storage.test_kinds_of_steps import TELL, Trip, book, booking, is_long, note, saga_of
from tests.support.orchestration import Bench, answer, delivery_of
from tests.support.sagas import OrderData, OrderSaga

Seen = Callable[..., tuple[Bench, Operations, str]]
NO_ROOMS = Failure("Full", "no rooms", kind=FailureKind.REFUSED)


@pytest.fixture
def seen(engine: Engine) -> Seen:
    """A started saga of these steps, and an operator who looks at it."""

    def start(*steps: Any, days: int = 3) -> tuple[Bench, Operations, str]:
        bench = Bench(engine, saga := saga_of(*steps))
        return bench, Operations(bench), bench.started(saga, Trip(days))

    return start


def steps_of(saga: SagaDetails) -> dict[str, StepView]:
    return {step.name: step for step in saga.steps}


def lines_of(operations: Operations, saga_id: str) -> list[str]:
    return [line for line in operations.trace(saga_id).splitlines() if line]


def test_branches_are_told_without_their_joins(seen: Seen) -> None:
    _, operations, saga_id = seen(parallel(book("plane"), book("hotel")), book("insurance"))
    saga = operations.show(saga_id)
    assert [step.name for step in saga.steps] == ["plane", "hotel", "insurance"]
    assert saga.situation == "waits for the reply to plane; waits for the reply to hotel"
    assert operations.list()[0].situation == saga.situation


def test_what_a_thousand_branches_wait_for_is_one_short_line(seen: Seen) -> None:
    bench, operations, saga_id = seen(parallel(*(book(f"b{number}") for number in range(1_000))))
    saga = operations.show(saga_id)
    assert saga.situation.endswith("waits for the reply to b2; and 997 more like these")
    bench.due_now(saga_id)
    bench.due_now(saga_id)
    saga = operations.show(saga_id)
    assert all(step.asks for step in saga.steps)
    advice = advice_for(saga, saga.updated_at)
    assert len(advice) == 1 and "agency.commands" in advice[0].text


def test_while_a_failed_step_waits_for_those_beside_it_both_are_told(seen: Seen) -> None:
    bench, operations, saga_id = seen(parallel(book("plane"), book("hotel"), book("museum")))
    plane, hotel, museum = bench.publisher.take()
    bench.handle(answer(plane, {}), answer(hotel, NO_ROOMS))
    told = "hotel failed: no rooms; the branches beside it finish first; waits for the reply to museum"
    assert operations.show(saga_id).situation == told
    bench.handle(answer(museum, {}))
    bench.handle(*(answer(undo) for undo in bench.publisher.take()))
    assert operations.trace(saga_id) == "\n".join(
        [
            "❗️ begin saga",
            "",
            "✔️ plane",
            "❌ hotel (no rooms)",
            "✔️ museum",
            "",
            "❗️ step failed: reverting",
            "",
            "✔️ cancel",
            "✔️ cancel",
            "",
            "❌ end saga (no rooms)",
        ]
    )


def test_what_a_choice_has_chosen_and_left_out_is_told(seen: Seen) -> None:
    _, operations, saga_id = seen(choice(when(is_long, book("suite")), otherwise=book("room"), name="size"), days=10)
    steps = steps_of(operations.show(saga_id))
    assert list(steps) == ["size", "suite", "room"]
    assert (steps["size"].work, steps["size"].chosen, steps["size"].state) == ("choice", "is_long", "done")
    assert (steps["room"].phase, steps["room"].state, steps["suite"].state) == ("skipped", "left out", "under way")
    assert lines_of(operations, saga_id)[1:] == ["✔️ size (is_long)", "⏳ suite (waiting for the reply)"]


def test_a_saga_that_waits_for_a_signal_says_how_to_give_it(seen: Seen) -> None:
    bench, operations, saga_id = seen(WaitForSignal("the boss's word", timeout_seconds=3600.0), book("plane"))
    saga = operations.show(saga_id)
    step = steps_of(saga)["the boss's word"]
    assert step.waits_for_signal and step.state == "waits for the signal" and step.until is not None
    assert saga.situation == f"waits for the signal the boss's word (until {step.until:%Y-%m-%d %H:%M:%S} UTC)"
    (advice,) = advice_for(saga, saga.updated_at)
    assert advice.command == f"sagas signal {saga_id} 'the boss'\"'\"'s word' --payload '{{...}}'"
    assert lines_of(operations, saga_id)[1:] == ["⏳ the boss's word (waiting for the signal)"]
    operations.signal(saga_id, "the boss's word")
    bench.due_now(saga_id)
    assert lines_of(operations, saga_id)[1:] == [
        "⏳ the boss's word (waiting for the signal)",
        "✔️ the boss's word",
        "⏳ plane (waiting for the reply)",
    ]
    assert not steps_of(operations.show(saga_id))["the boss's word"].waits_for_signal


def test_a_signal_that_came_early_is_told(seen: Seen) -> None:
    _, operations, saga_id = seen(book("plane"), WaitForSignal("approval"))
    operations.signal(saga_id, "approval")
    assert "✔️ signal approval (it came early and is kept)" in lines_of(operations, saga_id)


def test_a_sleeping_saga_says_until_when(seen: Seen) -> None:
    _, operations, saga_id = seen(Sleep("think", 60.0))
    saga = operations.show(saga_id)
    until = steps_of(saga)["think"].until
    assert until is not None and steps_of(saga)["think"].state == "sleeps"
    assert saga.situation == f"sleeps until {until:%Y-%m-%d %H:%M:%S} UTC"
    assert lines_of(operations, saga_id)[1:] == [f"⏳ think (sleeping until {until:%Y-%m-%d %H:%M:%S} UTC)"]
    assert advice_for(saga, saga.updated_at) == []


def test_a_command_that_nobody_awaits_is_told_as_sent(seen: Seen) -> None:
    tell = AsyncStep("tell", TELL, action=booking, awaited=False)
    _, operations, saga_id = seen(tell, SyncStep("note", action=note))
    assert steps_of(operations.show(saga_id))["tell"].work == "dispatch"
    assert "✔️ tell (sent, no answer expected)" in lines_of(operations, saga_id)


def test_a_saga_and_its_child_name_each_other(engine: Engine) -> None:
    bench = Bench(engine, PlaceOrder, ShipParcel)
    operations, saga_id = Operations(bench), bench.started(PlaceOrder, Order(7))
    bench.handle(delivery_of(bench.publisher.take()[0]))
    child = child_saga_id(saga_id, "ship", 1)
    saga = operations.show(saga_id)
    assert (steps_of(saga)["ship"].child, steps_of(saga)["ship"].child_id) == ("ShipParcel", child)
    assert saga.situation == f"waits for its child saga {child}" and saga.parent is None
    assert lines_of(operations, saga_id)[-1] == f"⏳ ship (waiting for its child saga {child})"
    assert operations.show(child).parent == Parent(saga_id, "ship")
    assert steps_of(saga)["bill"].child_id is None


def test_that_a_parent_asks_for_its_child_again_is_no_silence(engine: Engine) -> None:
    bench = Bench(engine, PlaceOrder, ShipParcel)
    operations, saga_id = Operations(bench), bench.started(PlaceOrder, Order(7))
    bench.handle(delivery_of(bench.publisher.take()[0]))
    bench.publisher.take()
    for _ in range(5):
        bench.due_now(saga_id)
    saga, child = operations.show(saga_id), child_saga_id(saga_id, "ship", 1)
    assert steps_of(saga)["ship"].asks >= MANY_ASKS
    assert saga.situation == f"waits for its child saga {child}"
    assert [advice.command for advice in advice_for(saga, saga.updated_at)] == [f"sagas show {child}"]
    assert not any("asked again" in line for line in lines_of(operations, saga_id))
    with engine.connect() as connection:
        found = doctor._silence(connection, bench.definitions)  # of the child's own step, and of nothing else
    assert found.text.endswith("without an answer: depot.commands (1)")


def test_a_child_that_its_parent_undoes_says_so(engine: Engine) -> None:
    bench = Bench(engine, PlaceOrder, ShipParcel)
    operations, saga_id = Operations(bench), bench.started(PlaceOrder, Order(7))
    bench.handle(delivery_of(bench.publisher.take()[0]))
    bench.publisher.take()
    bench.act(saga_id, Cancel(1.0, "changed their mind"))
    (undo,) = bench.due_now(saga_id)
    bench.handle(delivery_of(undo))
    child = child_saga_id(saga_id, "ship", 1)
    assert "❗️ undone by the saga whose step this is: reverting" in lines_of(operations, child)
    assert operations.show(saga_id).situation == f"waits for its child saga {child} to be undone"
    assert lines_of(operations, saga_id)[-1] == f"⏳ undo ship (waiting for its child saga {child})"


def test_a_saga_is_drawn_by_its_name_and_an_instance_with_how_far_it_is(bench: Bench) -> None:
    operations = Operations(bench)
    saga_id = bench.started(OrderSaga, OrderData(1))
    assert operations.saga_names == ["OrderSaga", "QuietSaga"]
    assert "under way" not in operations.diagram("OrderSaga")
    assert "under way" in operations.diagram(operations.show(saga_id))
    assert operations.diagram("OrderSaga", "svg").startswith("<svg xmlns=")
    with pytest.raises(DefinitionError, match=r"no such saga \(it has: OrderSaga, QuietSaga\)"):
        operations.diagram("OtherSaga")


def test_a_step_whose_answer_could_not_be_handled_is_not_called_unanswered(seen: Seen) -> None:
    bench, operations, saga_id = seen(book("plane"))
    for _ in range(MANY_ASKS + 2):
        bench.due_now(saga_id)
    asked = steps_of(operations.show(saga_id))["plane"]
    assert asked.asks >= MANY_ASKS and asked.message_id is not None
    unhandled = Unhandled(1.0, asked.message_id, Failure("ReplyKillsItsWorker", "it kills its worker"))
    bench.advancer.arrivals([Arrival(saga_id, unhandled)], (), 1.0)
    saga = operations.show(saga_id)
    assert steps_of(saga)["plane"].state == "stuck"
    assert not any("nobody has answered" in advice.text for advice in advice_for(saga, saga.updated_at))
    with bench.engine.connect() as connection:
        assert doctor._silence(connection, bench.definitions).ok


@pytest.mark.parametrize(("pivot_answered", "offered"), [(False, True), (True, False)])
def test_cancelling_is_advised_where_it_is_not_refused(seen: Seen, pivot_answered: bool, offered: bool) -> None:
    bench, operations, saga_id = seen(
        parallel(book("plane"), book("hotel")),
        AsyncStep("pay", TELL, booking, kind=PIVOT),
        AsyncStep("mail", TELL, booking),
    )
    bench.handle(*(answer(sent, {}) for sent in bench.publisher.take()))
    if pivot_answered:
        bench.handle(*(answer(sent, {}) for sent in bench.publisher.take()))
    stuck = bench.publisher.take()[0]
    bench.advancer.arrivals([Arrival(saga_id, Unhandled(1.0, stuck.id, NO_ROOMS))], (), 1.0)
    saga = operations.show(saga_id)
    assert saga.status == "needs_attention"
    commands = [advice.command or "" for advice in advice_for(saga, saga.updated_at)]
    assert any(command.startswith("sagas cancel") for command in commands) is offered
    with nullcontext() if offered else pytest.raises(OperationRefused, match="point of no return"):
        operations.cancel(saga_id, "let us see")
