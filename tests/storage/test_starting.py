"""start(): one transaction with the caller's rows, nothing sent before it has committed."""

from functools import partial
from threading import Barrier, Thread

import pytest
from sqlalchemy import Engine, func, insert, select
from sqlalchemy.orm import Session

from sagas_framework import StepContext
from sagas_framework.errors import PayloadRefused, SessionIsLent, TwoPhaseRefused
from sagas_framework.storage.schema import instances
from tests.support import sagas
from tests.support.orchestration import Bench
from tests.support.sagas import OrderData, OrderSaga, orders
from tests.support.threads import in_threads


def notes(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [str(note) for note in connection.scalars(select(orders.c.note).order_by(orders.c.id))]


def count_sagas(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(instances)) or 0


@pytest.mark.rule(7)
def test_the_first_command_leaves_after_the_commit_and_not_before(bench: Bench) -> None:
    with Session(bench.engine) as session, session.begin():
        session.execute(insert(orders).values(note="the caller's"))
        handle = bench.start(OrderSaga, OrderData(1), session)
        assert handle.created
        assert bench.publisher.tasks() == []
    assert bench.publisher.tasks() == ["kitchen.create"]
    assert notes(bench.engine) == ["the caller's", "1 reserved"]
    assert bench.row(handle.saga_id)["data"]["notes"] == ["reserved"]


@pytest.mark.rule(7)
def test_a_saga_wakes_two_seconds_after_its_start_in_case_the_process_died_before_publishing(bench: Bench) -> None:
    row = bench.row(bench.started(OrderSaga, OrderData(1)))
    assert row["wake_at"] == pytest.approx(row["created_at"] + 2.0, abs=0.01)


def test_a_rollback_takes_saga_steps_and_commands_with_it(bench: Bench) -> None:
    with Session(bench.engine) as session:
        bench.start(OrderSaga, OrderData(1), session)
        session.rollback()
        session.execute(insert(orders).values(note="later"))
        session.commit()
    assert bench.publisher.tasks() == []
    assert count_sagas(bench.engine) == 0
    assert notes(bench.engine) == ["later"]


def test_what_is_started_in_somebody_elses_transaction_is_left_to_the_due_loop(bench: Bench) -> None:
    """Its session commits, but the transaction round it may yet be rolled back."""
    with bench.engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            bench.start(OrderSaga, OrderData(1), session)
            session.commit()
        assert bench.publisher.tasks() == []
        outer.rollback()
    assert count_sagas(bench.engine) == 0


def test_a_savepoint_that_is_rolled_back_takes_its_saga_with_it_and_no_other(bench: Bench) -> None:
    with Session(bench.engine) as session, session.begin():
        bench.start(OrderSaga, OrderData(1), session)
        with pytest.raises(LookupError), session.begin_nested():
            bench.start(OrderSaga, OrderData(2), session)
            raise LookupError
        bench.start(OrderSaga, OrderData(3), session)
    assert [message.body.count('"order_id": 2') for message in bench.publisher.take()] == [0, 0]
    assert notes(bench.engine) == ["1 reserved", "3 reserved"]


@pytest.mark.parametrize("inside", [True, False], ids=["around the start", "after the start"])
def test_releasing_a_savepoint_sends_nothing_before_the_commit(bench: Bench, inside: bool) -> None:
    with Session(bench.engine) as session:
        if inside:
            with session.begin_nested():
                bench.start(OrderSaga, OrderData(1), session)
        else:
            bench.start(OrderSaga, OrderData(1), session)
            with session.begin_nested():
                session.execute(insert(orders).values(note="another"))
        assert bench.publisher.tasks() == []
        session.rollback()
    assert bench.publisher.tasks() == []


def test_a_start_inside_a_released_savepoint_is_sent_with_the_commit(bench: Bench) -> None:
    with Session(bench.engine) as session, session.begin():
        with session.begin_nested(), session.begin_nested():
            bench.start(OrderSaga, OrderData(1), session)
    assert bench.publisher.tasks() == ["kitchen.create"]


def test_what_a_closed_session_never_committed_is_not_sent_with_its_next_commit(bench: Bench) -> None:
    with Session(bench.engine) as session:
        bench.start(OrderSaga, OrderData(1), session)
        session.close()
        session.execute(insert(orders).values(note="later"))
        session.commit()
    assert bench.publisher.tasks() == []


def test_each_of_two_commits_of_one_session_sends_its_own(bench: Bench) -> None:
    with Session(bench.engine) as session:
        for number in (1, 2):
            bench.start(OrderSaga, OrderData(number), session)
            session.commit()
            assert len(bench.publisher.take()) == 1


def test_with_the_broker_away_the_start_is_committed_and_the_due_loop_sends(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.publisher.broken = True
    saga_id = bench.started(OrderSaga, OrderData(1))
    bench.publisher.broken = False
    wake_at = bench.row(saga_id)["wake_at"]
    monkeypatch.setattr("sagas_framework.orchestrator.due.time.time", lambda: wake_at + 0.001)
    bench.due()
    assert bench.publisher.tasks() == ["kitchen.create"]


def test_what_a_leading_step_raises_reaches_the_caller(bench: Bench) -> None:
    def refuse(order: OrderData, step: StepContext) -> None:
        raise LookupError("sold out")

    sagas.hooks["reserve"] = refuse
    with Session(bench.engine) as session, pytest.raises(LookupError, match="sold out"), session.begin():
        bench.start(OrderSaga, OrderData(1), session)
    assert count_sagas(bench.engine) == 0
    assert notes(bench.engine) == []


@pytest.mark.parametrize("key", [None, "one"])
def test_a_caller_who_catches_what_a_leading_step_raised_commits_no_half_of_a_saga(
    bench: Bench, key: str | None
) -> None:
    def refuse(order: OrderData, step: StepContext) -> None:
        raise LookupError("sold out")

    sagas.hooks["reserve"] = refuse
    with Session(bench.engine) as session, session.begin():
        session.execute(insert(orders).values(note="the caller's"))
        with pytest.raises(LookupError):
            bench.start(OrderSaga, OrderData(1), session, key)
    assert notes(bench.engine) == ["the caller's"]
    assert count_sagas(bench.engine) == 0
    sagas.hooks.clear()
    with Session(bench.engine) as session, session.begin():
        assert bench.start(OrderSaga, OrderData(1), session, key).created


@pytest.mark.parametrize("operation", ["commit", "rollback", "close", "reset", "invalidate"])
def test_a_leading_step_cannot_end_the_callers_transaction(bench: Bench, operation: str) -> None:
    def end_it(order: OrderData, step: StepContext) -> None:
        getattr(step.session, operation)()

    sagas.hooks["reserve"] = end_it
    with Session(bench.engine) as session, pytest.raises(SessionIsLent, match=operation), session.begin():
        bench.start(OrderSaga, OrderData(1), session)
    assert notes(bench.engine) == []


def test_data_that_do_not_match_their_dataclass_are_refused_where_the_saga_is_started(bench: Bench) -> None:
    with Session(bench.engine) as session, session.begin():
        with pytest.raises(PayloadRefused, match="order_id"):
            bench.start(OrderSaga, OrderData("7"), session)  # type: ignore[arg-type]
        assert not session.in_nested_transaction()
    assert count_sagas(bench.engine) == 0


# ---- idempotency keys ---------------------------------------------------------------------------------------------


def test_a_repeated_key_starts_nothing_and_leaves_the_callers_transaction_whole(bench: Bench) -> None:
    first = bench.started(OrderSaga, OrderData(1), "key")
    bench.publisher.take()
    with Session(bench.engine) as session, session.begin():
        session.execute(insert(orders).values(note="before"))
        handle = bench.start(OrderSaga, OrderData(2), session, "key")
        session.execute(insert(orders).values(note="after"))
    assert (handle.saga_id, handle.created) == (first, False)
    assert bench.publisher.tasks() == []
    assert notes(bench.engine) == ["1 reserved", "before", "after"]


def test_of_concurrent_starts_with_one_key_one_starts_and_the_others_learn_its_id(engine: Engine) -> None:
    together = Barrier(4)
    handles = []

    def begin(bench: Bench, number: int) -> None:
        together.wait()
        with Session(engine) as session, session.begin():
            handles.append(bench.start(OrderSaga, OrderData(number), session, "key"))

    benches = [Bench(engine, OrderSaga) for _ in range(4)]
    in_threads([partial(begin, bench, number) for number, bench in enumerate(benches)])
    assert len({handle.saga_id for handle in handles}) == 1
    assert sorted(handle.created for handle in handles) == [False, False, False, True]
    assert sum(len(bench.publisher.published) for bench in benches) == 1
    assert len(notes(engine)) == 1


def test_a_key_whose_first_start_rolls_back_is_free_for_the_one_that_waited(engine: Engine) -> None:
    first, second = Bench(engine, OrderSaga), Bench(engine, OrderSaga)
    taken, handles = Barrier(2), []

    def begin_second() -> None:
        taken.wait()
        with Session(engine) as session, session.begin():
            handles.append(second.start(OrderSaga, OrderData(2), session, "key"))

    thread = Thread(target=begin_second)
    thread.start()
    with Session(engine) as session:
        first.start(OrderSaga, OrderData(1), session, "key")
        taken.wait()
        session.rollback()
    thread.join()
    assert [handle.created for handle in handles] == [True]
    assert first.publisher.tasks() == [] and second.publisher.tasks() == ["kitchen.create"]


def test_one_key_serves_once_for_each_kind_of_saga(bench: Bench) -> None:
    assert bench.started(OrderSaga, OrderData(1), "key") != bench.started(sagas.QuietSaga, OrderData(1), "key")


def test_a_session_that_commits_in_two_phases_is_refused(bench: Bench) -> None:
    with Session(bench.engine, twophase=True) as session, pytest.raises(TwoPhaseRefused, match="twophase=True"):
        bench.start(OrderSaga, OrderData(1), session)
    assert count_sagas(bench.engine) == 0
