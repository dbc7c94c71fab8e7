"""Waiting for the end of a saga, on both databases.

The clock is the test's: what happens while somebody waits, happens in a pause.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, assert_type

import pytest
from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from sagas_framework import (
    DefinitionError,
    Execution,
    Failure,
    FailureKind,
    Orchestrator,
    Saga,
    SagaFailed,
    SagaHandle,
    SagaStatus,
    StepContext,
    SyncStep,
    UnknownSaga,
    WaitTimedOut,
    create_orchestrator,
)
from sagas_framework.engine.protocol import Pause, Retry
from sagas_framework.orchestrator import waiting
from sagas_framework.storage.database import open_database
from sagas_framework.vocabulary.identity import new_saga_id
from tests.support import databases
from tests.support.orchestration import NAME, Bench, answer, watching
from tests.support.sagas import OrderData, OrderSaga, QuietSaga, orders

STOLEN = Failure("Refused", "the card is stolen", kind=FailureKind.REFUSED)
BROKEN = Failure("Broken", "no paper")


@dataclass
class Clock:
    """Stands still but for the pauses; each pause does the next thing that is to happen."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)
    meanwhile: list[Callable[[], object]] = field(default_factory=list)
    at_every_pause: Callable[[], object] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)
        self.at_every_pause()
        if self.meanwhile:
            self.meanwhile.pop(0)()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(waiting, "time", clock)
    return clock


def started(bench: Bench, number: int = 1, key: str | None = None) -> SagaHandle[OrderData]:
    with Session(bench.engine) as session, session.begin():
        return bench.start(OrderSaga, OrderData(number), session, key)


def answered(bench: Bench, *values: Any) -> None:
    """Each value answers the command that the one before has led to."""
    for value in values:
        (command,) = bench.publisher.take()
        bench.handle(answer(command, value))


def succeed(bench: Bench) -> None:
    answered(bench, {"ticket_id": 7}, None, None)


def roll_back(bench: Bench) -> None:
    answered(bench, {"ticket_id": 7}, STOLEN, None)


# ---- how it ends ----------------------------------------------------------------------------------------------------


def test_a_saga_that_ends_in_the_meantime_gives_its_status_and_its_typed_data(bench: Bench, clock: Clock) -> None:
    handle = started(bench)
    clock.meanwhile += [lambda: None, lambda: succeed(bench)]
    execution = handle.wait()
    assert_type(execution, Execution[OrderData])
    assert execution.succeeded and len(clock.pauses) == 2
    assert execution == Execution(
        saga_id=handle.saga_id,
        status=SagaStatus.SUCCEEDED,
        data=OrderData(1, notes=["reserved"], ticket_id=7),
        failure=None,
        failed_step=None,
        created=True,
    )


def test_a_saga_that_has_ended_already_is_not_waited_for(bench: Bench, clock: Clock) -> None:
    handle = started(bench)
    succeed(bench)
    assert handle.wait(timeout_seconds=0).succeeded
    assert clock.pauses == []


def test_a_saga_that_was_rolled_back_raises_which_step_failed_and_why(bench: Bench, clock: Clock) -> None:
    handle = started(bench)
    clock.meanwhile.append(lambda: roll_back(bench))
    with pytest.raises(SagaFailed) as raised:
        handle.wait()
    assert str(raised.value) == (
        f"OrderSaga {handle.saga_id} failed at step 'charge': Refused: the card is stolen; "
        "everything that it had done was undone"
    )
    assert raised.value.execution == handle.wait(raise_on_failure=False)


def test_a_saga_that_was_rolled_back_is_given_to_whoever_asks_for_it(bench: Bench) -> None:
    handle = started(bench)
    roll_back(bench)
    execution = handle.wait(raise_on_failure=False)
    assert not execution.succeeded
    assert (execution.status, execution.failed_step, execution.failure) == (SagaStatus.FAILED, "charge", STOLEN)
    assert execution.data.ticket_id == 7


def test_a_repeated_key_waits_for_the_first_instance(bench: Bench) -> None:
    first, second = started(bench, 1, "key"), started(bench, 2, "key")
    succeed(bench)
    execution = second.wait()
    assert (execution.saga_id, execution.created) == (first.saga_id, False)
    assert execution.data.order_id == 1


def test_a_saga_that_needs_attention_is_waited_for_and_ends_when_an_operator_has_moved_it(
    bench: Bench, clock: Clock
) -> None:
    handle = started(bench)
    stop_in_needs_attention(bench)

    def retry() -> None:
        bench.act(handle.saga_id, Retry(time.time(), "there is paper again"))
        bench.due()
        answered(bench, None)

    clock.meanwhile += [lambda: None, retry]
    assert handle.wait().succeeded


def stop_in_needs_attention(bench: Bench) -> None:
    """Past its pivot, and its next step refused as often as its policy allows."""
    answered(bench, {"ticket_id": 7}, None, BROKEN)
    bench.due()
    answered(bench, BROKEN)


# ---- when the time is over ------------------------------------------------------------------------------------------


def timed_out(handle: SagaHandle[Any], seconds: float = 2.5) -> str:
    with pytest.raises(WaitTimedOut) as raised:
        handle.wait(seconds)
    assert raised.value.saga_id == handle.saga_id
    beginning = f"saga {handle.saga_id} has not ended within {seconds:g} s: "
    assert str(raised.value).startswith(beginning)
    return str(raised.value).removeprefix(beginning)


def test_when_time_is_over_it_says_where_the_saga_stands_and_how_to_learn_more(bench: Bench, clock: Clock) -> None:
    handle = started(bench)
    assert timed_out(handle) == f"it is running at step 'create'; `sagas show {handle.saga_id}` says more"
    bench.act(handle.saga_id, Pause(time.time(), ""))
    assert timed_out(handle).startswith("it is running at step 'create' and paused by an operator; ")


def test_when_time_is_over_it_says_that_the_saga_needs_attention(bench: Bench, clock: Clock) -> None:
    handle = started(bench)
    stop_in_needs_attention(bench)
    assert timed_out(handle).startswith("it needs attention at step 'approve'; `sagas show ")


@pytest.mark.parametrize("key", [None, "key"])
def test_whoever_waits_inside_the_starting_transaction_is_told_and_not_deadlocked(
    bench: Bench, clock: Clock, key: str | None
) -> None:
    """On SQLite that transaction holds the only write lock there is."""
    with Session(bench.engine) as session, session.begin():
        session.execute(insert(orders).values(note="the caller's"))
        handle = bench.start(OrderSaga, OrderData(1), session, key)
        assert (
            timed_out(handle, seconds=0) == "it is not in the database: was the transaction that started it committed?"
        )
    succeed(bench)
    assert handle.wait().succeeded


def test_the_last_look_comes_when_the_time_is_over_and_not_before(bench: Bench, clock: Clock) -> None:
    handle = started(bench)
    clock.at_every_pause = lambda: succeed(bench) if clock.now == 2.5 else None
    assert handle.wait(2.5).succeeded


# ---- what it costs --------------------------------------------------------------------------------------------------


def test_pauses_grow_up_to_a_quarter_of_a_second_and_each_look_is_one_small_statement(
    bench: Bench, clock: Clock
) -> None:
    handle = started(bench)
    with watching(bench.engine) as seen, pytest.raises(WaitTimedOut):
        handle.wait(30.0)
    looks = [statement for statement in seen.texts if "SELECT" in statement]
    assert len(looks) == len(clock.pauses) + 1
    assert not any("saga_instance.data" in look or "saga_instance.state" in look for look in looks)
    assert clock.pauses[0] == 0.005 and clock.pauses[1:-1] == sorted(clock.pauses[1:-1])
    assert max(clock.pauses) == 0.25 and len(clock.pauses) < 140


def test_no_pause_is_longer_than_half_of_what_was_waited_before(bench: Bench, clock: Clock) -> None:
    with pytest.raises(WaitTimedOut):
        started(bench).wait(30.0)
    waited = 0.0
    for pause in clock.pauses:
        assert pause <= waited / 2 + waiting.FIRST_PAUSE_SECONDS + 1e-9
        waited += pause


def test_no_connection_is_held_in_a_pause(bench: Bench, clock: Clock) -> None:
    held: list[int] = []
    clock.at_every_pause = lambda: held.append(bench.engine.pool.checkedout())  # type: ignore[attr-defined]
    with pytest.raises(WaitTimedOut):
        started(bench).wait(1.0)
    assert set(held) == {0}


# ---- trouble --------------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_a_database_that_comes_back_is_asked_again(postgresql_engine: Engine, clock: Clock) -> None:
    bench = Bench(postgresql_engine, OrderSaga)
    handle = started(bench)
    succeed(bench)
    with postgresql_engine.connect(), postgresql_engine.connect():
        pass  # the pool keeps them both; the one that is not used next is closed by the server
    with postgresql_engine.connect() as connection:
        connection.execute(databases.DISCONNECT_OTHERS)
    assert handle.wait().succeeded
    assert len(clock.pauses) == 1


def test_a_database_that_stays_away_is_what_the_end_of_the_time_tells_of(clock: Clock) -> None:
    away = open_database("postgresql+psycopg://nobody@127.0.0.1:1/nothing")  # where nobody listens
    assert timed_out(SagaHandle(new_saga_id(), True, away, {})).startswith("its database cannot be read: ")


def test_what_is_no_weather_is_raised_at_once(bench: Bench, clock: Clock) -> None:
    handle = started(bench)
    with bench.engine.begin() as connection:
        connection.execute(text("DROP TABLE saga_instance"))
    with pytest.raises(DBAPIError, match="saga_instance"):
        handle.wait()
    assert clock.pauses == []


# ---- an orchestrator's own words ------------------------------------------------------------------------------------


def take_note(order: OrderData, step: StepContext) -> None:
    order.notes.append("noted")


class NoteSaga(Saga[OrderData]):
    """It has nobody to wait for: it ends where it is started."""

    response_queue = "note_replies"
    steps = (SyncStep("take_note", action=take_note),)


@pytest.fixture
def orchestrator(engine: Engine, database_url: str) -> Iterator[Orchestrator]:
    orchestrator = create_orchestrator(NAME, broker="memory://", database_url=database_url, sagas=[NoteSaga])
    yield orchestrator
    orchestrator.engine.dispose()


def test_run_starts_a_saga_in_a_transaction_of_its_own_and_gives_its_end(orchestrator: Orchestrator) -> None:
    execution = orchestrator.run(NoteSaga, OrderData(1))
    assert_type(execution, Execution[OrderData])
    assert execution.created and execution.succeeded
    assert execution.data.notes == ["noted"]


def test_run_with_a_repeated_key_gives_the_end_of_the_first_instance(orchestrator: Orchestrator) -> None:
    first = orchestrator.run(NoteSaga, OrderData(1), idempotency_key="key")
    second = orchestrator.run(NoteSaga, OrderData(2), idempotency_key="key")
    assert (second.saga_id, second.data, second.created) == (first.saga_id, first.data, False)


def test_a_process_that_did_not_start_a_saga_waits_for_it_by_its_id(orchestrator: Orchestrator) -> None:
    execution = orchestrator.run(NoteSaga, OrderData(1))
    assert orchestrator.handle(execution.saga_id).wait().data == execution.data
    with pytest.raises(UnknownSaga, match="'order 1'"):
        orchestrator.handle("order 1")


def test_a_saga_that_the_waiting_process_does_not_know_is_refused_with_its_name(
    bench: Bench, orchestrator: Orchestrator
) -> None:
    saga_id = bench.started(QuietSaga, OrderData(1))
    answered(bench, {"ticket_id": 7}, None)
    with pytest.raises(DefinitionError, match="saga 'QuietSaga': it is not registered"):
        orchestrator.handle(saga_id).wait()


def test_a_handle_is_its_saga_and_shows_no_more(bench: Bench) -> None:
    first, second = started(bench, 1, "key"), started(bench, 2, "key")
    assert first != second and second == started(bench, 3, "key")
    assert repr(first) == f"SagaHandle(saga_id={first.saga_id!r}, created=True)"
