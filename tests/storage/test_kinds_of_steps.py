"""What each kind of step does, on real databases."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from sagas_framework import (
    AsyncStep,
    Command,
    DefinitionError,
    Failure,
    OperationRefused,
    Operations,
    Saga,
    Sleep,
    StepContext,
    SyncStep,
    WaitForSignal,
    choice,
    create_orchestrator,
    include,
    parallel,
    send,
    when,
)
from sagas_framework.engine.protocol import Cancel, Signal
from sagas_framework.engine.state import Phase
from sagas_framework.errors import PayloadRefused
from sagas_framework.storage.schema import outbox
from sagas_framework.transport.wire import OutgoingMessage
from tests.support.orchestration import Bench, answer

BOOK = Command("agency.book", "agency.commands", dict)
CANCEL = Command("agency.cancel", "agency.commands", dict)
TELL = Command("agency.tell", "agency.commands", dict)


@dataclass
class Card:
    number: str
    charged: bool = False


@dataclass
class Trip:
    days: int
    card: Card = field(default_factory=lambda: Card("5994"))
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Decision:
    granted: bool
    by: str


def booking(trip: Any, step: StepContext) -> dict[str, Any]:
    return {"what": step.step}


def book(name: str, **more: Any) -> AsyncStep:
    return AsyncStep(name, BOOK, action=booking, compensation=send(CANCEL, booking), **more)


def note(trip: Trip, step: StepContext) -> None:
    trip.notes.append(step.step)


def saga_of(*its_steps: Any) -> type[Saga[Trip]]:
    class TripSaga(Saga[Trip]):
        response_queue = "trips"
        steps = its_steps

    return TripSaga


def what(messages: list[OutgoingMessage]) -> list[str]:
    return [f"{message.task.partition('.')[2]} {(message.correlation or {})['step']}" for message in messages]


# ---- branches --------------------------------------------------------------------------------------------------------


def test_branches_are_asked_at_once_and_joined(engine: Engine) -> None:
    bench = Bench(engine, saga := saga_of(parallel(book("plane"), [book("hotel"), book("dinner")]), book("insurance")))
    saga_id = bench.started(saga, Trip(3))
    plane, hotel = bench.publisher.take()
    bench.handle(answer(hotel, {}), answer(plane, {}))
    (dinner,) = bench.publisher.take()
    bench.handle(answer(dinner, {}))
    (insurance,) = bench.publisher.take()
    bench.handle(answer(insurance, {}))
    assert bench.status(saga_id) == "succeeded"


def test_branches_beside_a_failed_one_finish_and_then_all_that_was_done_is_undone_at_once(engine: Engine) -> None:
    bench = Bench(engine, saga := saga_of(parallel(book("plane"), book("hotel"), [book("museum"), book("dinner")])))
    saga_id = bench.started(saga, Trip(3))
    plane, hotel, museum = bench.publisher.take()
    bench.handle(answer(hotel, Failure("Full", "no rooms")), answer(plane, {}))
    assert bench.publisher.take() == [] and bench.status(saga_id) == "running"
    bench.handle(answer(museum, {}))
    (dinner,) = bench.publisher.take()
    bench.handle(answer(dinner, {}))
    undoing = bench.publisher.take()
    assert what(undoing) == ["cancel plane", "cancel dinner"]
    bench.handle(*(answer(command) for command in undoing))
    (last,) = bench.publisher.take()
    assert what([last]) == ["cancel museum"]
    bench.handle(answer(last))
    assert bench.status(saga_id) == "failed" and bench.row(saga_id)["failed_step"] == "hotel"


# ---- choices ---------------------------------------------------------------------------------------------------------


def is_long(trip: Trip, step: StepContext) -> bool:
    trip.notes.append("asked")
    return trip.days > 7


@pytest.mark.parametrize(("days", "chosen", "left_out"), [(10, "suite", "room"), (2, "room", "suite")])
def test_a_choice_is_made_once_and_remembered(engine: Engine, days: int, chosen: str, left_out: str) -> None:
    bench = Bench(engine, saga := saga_of(choice(when(is_long, book("suite")), otherwise=book("room")), book("plane")))
    saga_id = bench.started(saga, Trip(days))
    (command,) = bench.publisher.take()
    assert what([command]) == [f"book {chosen}"]
    bench.handle(answer(command, {}), answer(command, {}))
    (plane,) = bench.publisher.take()
    bench.handle(answer(plane, Failure("Full", "no seats")))
    (undo,) = bench.publisher.take()
    assert what([undo]) == [f"cancel {chosen}"]
    bench.handle(answer(undo))
    steps = bench.state(saga_id).steps
    assert bench.status(saga_id) == "failed" and steps[left_out].phase is Phase.SKIPPED
    assert bench.row(saga_id)["data"]["notes"] == ["asked"]


def test_a_condition_that_raises_fails_the_saga(engine: Engine) -> None:
    def broken(trip: Trip, step: StepContext) -> bool:
        raise ZeroDivisionError("no days")

    bench = Bench(engine, saga := saga_of(book("plane"), choice(when(broken, book("suite")), name="kind")))
    saga_id = bench.started(saga, Trip(0))
    (plane,) = bench.publisher.take()
    bench.handle(answer(plane, {}))
    (undo,) = bench.publisher.take()
    bench.handle(answer(undo))
    assert bench.status(saga_id) == "failed" and bench.row(saga_id)["failed_step"] == "kind"


# ---- included steps --------------------------------------------------------------------------------------------------


def charge(card: Card, step: StepContext) -> None:
    card.charged = True


class Payment(Saga[Card]):
    response_queue = "payments"
    steps = (SyncStep("charge", action=charge), AsyncStep("pay", BOOK, action=lambda card, step: {"card": card.number}))


def test_included_steps_work_on_their_part_of_the_data(engine: Engine) -> None:
    bench = Bench(engine, saga := saga_of(include(Payment, data=lambda trip: trip.card, prefix="card_"), book("plane")))
    saga_id = bench.started(saga, Trip(3))
    (pay,) = bench.publisher.take()
    assert '"5994"' in pay.body and pay.correlation is not None and pay.correlation["step"] == "card_pay"
    assert pay.correlation["reply_queue"] == "trips"
    assert bench.row(saga_id)["data"]["card"]["charged"] is True


@pytest.mark.parametrize(
    ("pick", "given_back", "problem"),
    [
        (lambda trip: Card(trip.card.number), None, "`data` of include\\(...\\) made a new object"),
        (lambda trip: trip.card, Card("new"), "a function returned Card; .* change their part of the data in place"),
        (lambda trip: trip.card, Trip(9), "a function returned Trip; .* change their part of the data in place"),
    ],
)
def test_what_an_included_step_would_lose_fails_it_and_says_why(
    engine: Engine, pick: Any, given_back: Any, problem: str
) -> None:
    class Lose(Saga[Card]):
        response_queue = "cards"
        steps = (SyncStep("lose", action=lambda card, step: given_back),)

    bench = Bench(engine, saga := saga_of(include(Lose, data=pick)))
    with pytest.raises(DefinitionError, match=f"step 'lose': {problem}"):
        bench.started(saga, Trip(3))


# ---- signals ---------------------------------------------------------------------------------------------------------


def decided(trip: Trip, decision: Decision, step: StepContext) -> None:
    if not decision.granted:
        raise PermissionError(f"{decision.by} said no")
    trip.notes.append(f"granted by {decision.by}")


def approval(**more: Any) -> WaitForSignal:
    return WaitForSignal("approval", payload=Decision, action=note, on_signal=decided, **more)


@pytest.fixture
def waiting(engine: Engine) -> tuple[Bench, str]:
    bench = Bench(engine, saga := saga_of(book("plane"), approval(timeout_seconds=3600.0), book("hotel")))
    saga_id = bench.started(saga, Trip(3))
    (plane,) = bench.publisher.take()
    bench.handle(answer(plane, {}))
    assert bench.publisher.take() == []
    return bench, saga_id


def test_a_signal_lets_its_step_go_on(waiting: tuple[Bench, str]) -> None:
    bench, saga_id = waiting
    bench.act(saga_id, Signal(1.0, "approval", {"granted": True, "by": "Ann"}))
    assert what(bench.due_now(saga_id)) == ["book hotel"]
    assert bench.row(saga_id)["data"]["notes"] == ["approval", "granted by Ann"]
    with pytest.raises(OperationRefused, match="has come already"):
        bench.act(saga_id, Signal(1.0, "approval", {"granted": False, "by": "Bob"}))


def test_a_signal_may_say_no_and_what_was_done_is_undone(waiting: tuple[Bench, str]) -> None:
    bench, saga_id = waiting
    bench.act(saga_id, Signal(1.0, "approval", {"granted": False, "by": "Bob"}))
    assert what(bench.due_now(saga_id)) == ["cancel plane"]
    assert bench.row(saga_id)["failure_details"]["message"] == "Bob said no"


def test_a_signal_that_comes_early_is_kept_until_its_step_begins(engine: Engine) -> None:
    bench = Bench(engine, saga := saga_of(book("plane"), approval(), book("hotel")))
    saga_id = bench.started(saga, Trip(3))
    bench.act(saga_id, Signal(1.0, "approval", {"granted": True, "by": "Ann"}))
    with pytest.raises(OperationRefused, match="has come already"):
        bench.act(saga_id, Signal(1.0, "approval", {"granted": True, "by": "Ann"}))
    (plane,) = bench.publisher.take()
    bench.handle(answer(plane, {}))
    assert what(bench.publisher.take()) == ["book hotel"]


def test_a_signal_that_cannot_be_read_or_that_nobody_waits_for_is_refused_and_changes_nothing(
    waiting: tuple[Bench, str],
) -> None:
    bench, saga_id = waiting
    before = bench.row(saga_id)
    with pytest.raises(PayloadRefused, match="by: Field required"):
        bench.act(saga_id, Signal(1.0, "approval", {"granted": True}))
    with pytest.raises(OperationRefused, match="waits for no signal 'aproval' \\(it has: approval\\)"):
        bench.act(saga_id, Signal(1.0, "aproval", {}))
    assert bench.row(saga_id) == before


@pytest.mark.parametrize(
    ("payload", "where"),
    [
        ({"granted": True, "by": float("nan")}, "by is nan"),
        ({"granted": True, "by": "Ann", "limits": [1.0, float("inf")]}, "limits.1 is inf"),
        ({"granted": True, "by": {"Ann"}}, "by is {'Ann'}"),
        ({"granted": True, "by": "Ann", "seats": {7: "A"}}, "seats has the key 7"),
        ({7: True}, "it has the key 7"),
        (Decision(True, by=7), "by: Input should be a valid string"),  # type: ignore[arg-type]
        (["Ann"], "must be a dataclass or a dictionary"),
        (Decision, "must be a dataclass or a dictionary"),
    ],
)
def test_a_signal_that_would_turn_into_something_else_is_refused_where_it_is_given(
    postgresql_url: str, payload: Any, where: str
) -> None:
    saga = saga_of(WaitForSignal("approval", payload=dict))
    orchestrator = create_orchestrator("agency", broker="memory://", database_url=postgresql_url, sagas=[saga])
    for speaker in (orchestrator, Operations(orchestrator)):
        with pytest.raises(PayloadRefused, match=f"signal approval: .*{re.escape(where)}"):
            speaker.signal(str(uuid4()), "approval", payload)
    orchestrator.engine.dispose()


@pytest.mark.parametrize("payload", [Decision(True, "Ann"), {"granted": True, "by": "Ann"}])
def test_a_signal_is_given_as_a_dataclass_or_as_a_dictionary(waiting: tuple[Bench, str], payload: Any) -> None:
    bench, saga_id = waiting
    Operations(bench).signal(saga_id, "approval", payload)
    assert bench.row(saga_id)["data"]["notes"] == ["approval", "granted by Ann"]


def test_a_signal_that_never_comes_fails_its_step_in_the_end(waiting: tuple[Bench, str]) -> None:
    bench, saga_id = waiting
    assert bench.due_now(saga_id) == []  # a due time of before, which was left alone
    assert what(bench.due_now(saga_id)) == ["cancel plane"]
    assert bench.row(saga_id)["failure_details"]["type"] == "SignalTimeout"
    with pytest.raises(OperationRefused, match="it is being compensated"):
        bench.act(saga_id, Signal(1.0, "approval", {"granted": True, "by": "Ann"}))


def test_cancelling_does_not_wait_for_a_signal(waiting: tuple[Bench, str]) -> None:
    bench, saga_id = waiting
    bench.act(saga_id, Cancel(1.0, "no trip"))
    assert what(bench.due_now(saga_id)) == ["cancel plane"]


# ---- sleep, and what nobody awaits -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [60.0, lambda trip, step: trip.days * 20])
def test_a_sleep_lets_its_time_pass_and_no_more(engine: Engine, seconds: Any) -> None:
    bench = Bench(engine, saga := saga_of(Sleep("think", seconds), book("plane")))
    saga_id = bench.started(saga, Trip(3))
    row = bench.row(saga_id)
    assert row["wake_at"] - row["created_at"] == pytest.approx(60.0)
    bench.due_at(row["wake_at"] - 1.0)
    assert bench.publisher.take() == []
    assert what(bench.due_now(saga_id)) == ["book plane"]


def test_a_sleep_that_is_no_number_fails_the_step(engine: Engine) -> None:
    how_long: Any = lambda trip, step: "long"  # noqa: E731
    bench = Bench(engine, saga := saga_of(book("plane"), Sleep("think", how_long)))
    saga_id = bench.started(saga, Trip(3))
    (plane,) = bench.publisher.take()
    bench.handle(answer(plane, {}))
    assert what(bench.publisher.take()) == ["cancel plane"]
    assert "'long'" in bench.row(saga_id)["failure_details"]["message"]


def test_a_command_that_nobody_awaits_goes_through_the_outbox_and_the_saga_goes_on(engine: Engine) -> None:
    told = AsyncStep("tell", TELL, action=booking, compensation=send(CANCEL, booking), awaited=False)
    bench = Bench(engine, saga := saga_of(told, book("plane")))
    saga_id = bench.started(saga, Trip(3))
    (plane,) = bench.publisher.take()
    assert what([plane]) == ["book plane"]
    with engine.connect() as connection:
        (message,) = [OutgoingMessage(**row.message) for row in connection.execute(outbox.select())]
    assert message.task == "agency.tell" and message.correlation is not None
    assert "reply_queue" not in message.correlation and message.correlation["direction"] == "action"
    bench.handle(answer(plane, Failure("Full", "no seats")))
    assert what(bench.publisher.take()) == ["cancel tell"]
    assert bench.status(saga_id) == "compensating"


# ---- data ------------------------------------------------------------------------------------------------------------


def test_a_function_may_return_the_sagas_new_data(engine: Engine) -> None:
    def longer(trip: Trip, step: StepContext) -> Trip:
        return Trip(trip.days + 1)

    bench = Bench(engine, saga := saga_of(SyncStep("extend", action=longer), book("plane")))
    saga_id = bench.started(saga, Trip(3))
    assert bench.row(saga_id)["data"]["days"] == 4


@pytest.mark.parametrize("called", ["run", "signal", "wait"])
def test_a_function_that_would_wait_for_its_own_transaction_fails_its_step_and_holds_up_nobody(
    engine: Engine, called: str
) -> None:
    orchestrator = create_orchestrator("aside", broker="memory://", database_url="sqlite://", sagas=[Payment])

    def careless(trip: Trip, step: StepContext) -> None:
        calls: dict[str, Callable[[], Any]] = {
            "run": lambda: orchestrator.run(Payment, trip.card),
            "signal": lambda: orchestrator.signal(step.saga_id, "approval"),
            "wait": lambda: orchestrator.handle(step.saga_id).wait(),
        }
        calls[called]()

    bench = Bench(engine, saga := saga_of(book("plane"), SyncStep("careless", action=careless)))
    saga_id = bench.started(saga, Trip(3))
    (plane,) = bench.publisher.take()
    bench.handle(answer(plane, {}))
    assert what(bench.publisher.take()) == ["cancel plane"]
    assert "is refused inside the function of step 'careless'" in bench.row(saga_id)["failure_details"]["message"]
    orchestrator.engine.dispose()
