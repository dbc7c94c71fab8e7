"""Deadlocks, locks and lost databases under those who take events in: nothing is lost, nothing handled twice."""

from threading import Event
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from sagas_framework import EventContext
from sagas_framework.events import intake
from sagas_framework.storage.schema import deliveries, outbox
from sagas_framework.transport.inbox import Unfinished
from sagas_framework.transport.wire import OutgoingMessage
from tests.support.events import Bank, Booked, Ledger, Moved, Opened, changed, rows, sent_by_bank, wanted_by
from tests.support.orchestration import delivery_of
from tests.support.threads import in_threads
from tests.support.trouble import LOCK, insert_two_rows, lose_the_connection, meet_a_deadlock, wait_for_no_lock

ONE = "account=1"


def once(number: int, trouble: Any, run: int) -> Any:
    """At that number, when its handler runs for the so-manieth time."""
    runs: list[int] = []

    def guarded(event: Any, context: EventContext) -> None:
        if context.number == number:
            runs.append(number)
            if len(runs) == run:
                trouble(context)

    return guarded


@pytest.mark.postgresql
@pytest.mark.parametrize("trouble", [meet_a_deadlock, lose_the_connection])
@pytest.mark.parametrize("careful", [False, True], ids=["at once", "with savepoints"])
def test_bad_weather_is_no_failure_of_the_event_the_batch_is_held_and_done_later(
    postgresql_engine: Engine, trouble: Any, careful: bool
) -> None:
    ledger = Ledger(postgresql_engine)
    weather = once(3, trouble, 2 if careful else 1)

    def before(event: Any, context: EventContext) -> None:
        weather(event, context)
        if careful and context.number == 5:
            raise LookupError("so that savepoints are needed")

    ledger.before = before
    messages = [delivery_of(one) for one in sent_by_bank(5)]
    with pytest.raises(Unfinished) as unfinished:
        ledger.take(*messages)
    assert list(unfinished.value.hold) == messages and not unfinished.value.give_back
    assert ledger.handled == {} and ledger.streams() == {} and ledger.publisher.take() == []
    ledger.take_in_the_end(*messages)
    assert ledger.handled == {ONE: [1, 2, 3, 4] if careful else [1, 2, 3, 4, 5]}
    assert {row.attempts for row in ledger.stored().values()} == ({1} if careful else set())


def test_while_the_database_is_locked_a_batch_is_held_and_nothing_is_lost(tmp_path: Any, sqlite_engine: Engine) -> None:
    wait_for_no_lock(sqlite_engine)
    bank, ledger = Bank(sqlite_engine), Ledger(sqlite_engine)
    sent = bank.publish(Moved("1", 1), Moved("1", 2))
    messages = [delivery_of(one) for one in sent]
    with sqlite_engine.connect() as other:
        other.execute(text("SELECT 1"))  # and with that the write lock
        with pytest.raises(Unfinished) as unfinished:
            ledger.take(*messages)
        with pytest.raises(Unfinished):
            bank.receive(*sent)
        with pytest.raises(OperationalError, match="locked"):
            bank.relay_at(1e10)
    assert list(unfinished.value.hold) == messages
    ledger.take_in_the_end(*messages)
    bank.receive(*ledger.receipts())
    assert ledger.handled == {ONE: [1, 2]} and bank.outbox() == []


@pytest.mark.postgresql
def test_batches_that_lock_the_applications_rows_crosswise_get_through_in_the_end(postgresql_engine: Engine) -> None:
    """Each batch locks two rows of the application, the other way round than the other."""
    insert_two_rows(postgresql_engine)
    there = {"1": Event(), "2": Event()}

    def locking(mine: str, other: str) -> Any:
        def before(event: Any, context: EventContext) -> None:
            context.session.execute(LOCK, {"id": 100 + event.amount})
            there[mine].set()
            there[other].wait(5)

        return before

    def work(mine: str, other: str, amounts: tuple[int, int]) -> Any:
        def run() -> None:
            ledger = Ledger(postgresql_engine)
            ledger.before = locking(mine, other)
            messages = Bank(postgresql_engine).publish(*(Moved(mine, amount) for amount in amounts))
            ledger.take_in_the_end(*messages)

        return run

    in_threads([work("1", "2", (1, 2)), work("2", "1", (2, 1))])
    ledger = Ledger(postgresql_engine)
    assert ledger.handled == {"account=1": [1, 2], "account=2": [1, 2]}


@pytest.mark.postgresql
@pytest.mark.parametrize("careful", [False, True], ids=["at once", "with savepoints"])
def test_two_subscribers_whose_handlers_publish_crosswise_meet_no_deadlock(
    postgresql_engine: Engine, careful: bool
) -> None:
    """While the one's batch is between its two events, the other's does both of its own, the other way round."""
    first, second = Ledger(postgresql_engine), Ledger(postgresql_engine, "mail.events")
    messages = sent_by_bank(3)
    nested: list[int] = []

    def publish_first(event: Any, context: EventContext) -> None:
        if context.number == 3 and careful:
            raise LookupError
        context.publish(Booked(str(context.number), 1))
        if context.number == 1:
            nested.append(1)
        if context.number == 2 and len(nested) == 1 + careful:
            second.take(*messages)

    def publish_second(event: Any, context: EventContext) -> None:
        context.publish(Booked(str(3 - context.number) if context.number < 3 else "3", 2))

    first.before, second.before = publish_first, publish_second
    first.take(*messages)
    assert [number for _, number in second.runs] == [1, 2, 3]
    assert [number for _, number in first.runs][:3] == [1, 2, 3]
    assert {row.message["correlation"]["number"] for row in rows(postgresql_engine, outbox)} == {1, 2}


@pytest.mark.postgresql
def test_who_holds_an_aggregate_holds_up_only_those_with_events_of_it(postgresql_engine: Engine) -> None:
    first, second = Ledger(postgresql_engine), Ledger(postgresql_engine)
    messages, others = sent_by_bank(1), sent_by_bank(1, "2")

    def meanwhile(event: Any, context: EventContext) -> None:
        second.take(*others)
        with pytest.raises(Unfinished):
            second.take(*messages)  # it waits for the lock as long as any statement does

    first.before = meanwhile
    first.take(*messages)
    second.take(*messages)
    assert sorted(first.handled) == ["account=1", "account=2"] and second.runs == [("account=2", 1)]


def test_a_batch_of_events_that_were_sent_again_is_counted_while_it_runs_and_not_afterwards(engine: Engine) -> None:
    ledger = Ledger(engine)
    counted: list[int] = []
    ledger.before = lambda event, context: counted.append(1)
    again = [changed(one, again=True) for one in sent_by_bank(3)]
    ledger.take(*again)
    assert len(counted) == 3 and rows(engine, deliveries) == []
    ledger.take(*again)
    assert ledger.handled == {ONE: [1, 2, 3]}


def test_a_framework_that_fails_gives_the_batch_back_as_it_was(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(engine)

    def fail(*given: Any) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(intake, "_write", fail)
    with pytest.raises(RuntimeError):
        ledger.take(*sent_by_bank(2))
    monkeypatch.undo()
    assert ledger.handled == {} and ledger.publisher.take() == []
    ledger.take(*sent_by_bank(2))
    assert ledger.handled == {ONE: [1, 2]}


def test_a_thousand_events_from_publishers_to_subscribers_and_back_leave_nothing_behind(engine: Engine) -> None:
    bank, ledger, mail = Bank(engine), Ledger(engine), Ledger(engine, "mail.events", Opened)
    for number in range(10):
        sent: list[OutgoingMessage] = bank.publish(
            *(Opened(f"{account}") for account in range(20)), *(Moved(f"{account}", number) for account in range(20))
        )
        ledger.take(*wanted_by("ledger.events", sent))
        mail.take(*wanted_by("mail.events", sent))
        bank.receive(*ledger.receipts(), *mail.receipts())
    assert bank.outbox() == [] and ledger.stored() == {}
    assert ledger.streams()["account=7"][0] == 20
