"""Publishing: in the caller's transaction or not at all, numbered without a gap in the order of the commits."""

import itertools
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, make_dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from sagas_framework import Command, Event, HandlerContext, handles
from sagas_framework.errors import DefinitionError, PayloadRefused, TwoPhaseRefused
from sagas_framework.events.outbound import NOBODY_SUBSCRIBES, Outbound
from sagas_framework.participant.commands import CommandBatches
from sagas_framework.storage.database import lent_savepoint, lent_session
from sagas_framework.storage.schema import event_numbers, outbox
from sagas_framework.transport.inbox import Unfinished
from sagas_framework.transport.wire import OutgoingMessage
from tests.support.events import (
    AUDIT,
    LEDGER,
    MAIL,
    Bank,
    Booked,
    Closed,
    Moved,
    Opened,
    header_of,
    number_of,
    rows,
    wanted_by,
)
from tests.support.orchestration import RecordingPublisher, watching
from tests.support.participation import incoming, payload_of, works_of
from tests.support.sagas import orders
from tests.support.threads import in_threads, until


def numbers(messages: list[OutgoingMessage], queue: str = LEDGER) -> list[tuple[str, int]]:
    return [(header_of(one)["aggregate"], number_of(one)) for one in wanted_by(queue, messages)]


def written(bank: Bank, queue: str = LEDGER) -> dict[str, list[int]]:
    """The numbers in the outbox by aggregate, in the order of their rows."""
    found: dict[str, list[int]] = {}
    for row in bank.outbox():
        if row.queue == queue:
            header = row.message["correlation"]
            found.setdefault(header["aggregate"], []).append(header["number"])
    return found


@pytest.fixture
def bank(engine: Engine) -> Bank:
    return Bank(engine)


# ---- numbers --------------------------------------------------------------------------------------------------------


def test_every_subscriber_gets_a_message_of_its_own_counted_for_it_alone(bank: Bank) -> None:
    sent = bank.publish(Moved("1", 5), Opened("1"), Moved("1", 6)) + bank.publish(Opened("2"), Opened("1"))
    assert numbers(sent) == [("account=1", 1), ("account=1", 2), ("account=1", 3), ("account=2", 1), ("account=1", 4)]
    assert numbers(sent, MAIL) == [("account=1", 1), ("account=2", 1), ("account=1", 2)]
    ids = [one.id for one in wanted_by(LEDGER, sent) if one.task == "bank.opened"]
    assert ids == [one.id for one in wanted_by(MAIL, sent)], "the same event for either"
    assert {row.awaited for row in bank.outbox()} == {True}


def test_a_new_subscriber_is_counted_from_one_and_the_others_as_before(engine: Engine) -> None:
    for queues, expected in ((["one"], [("one", 1)]), (["one", "two"], [("one", 2), ("two", 1)])):
        shared: Any = make_dataclass("Shared", [("account", str)])  # of the next release, the second time
        event = Event("bank.shared", source="bank", payload=shared, key="account", subscribers=queues)
        outbound = Outbound({event.name: event})
        outbound.publish(shared("1"))
        with engine.begin() as connection:
            sent = outbound.write(connection, 1.0, sent_at_once=True)
        assert [(one.queue, number_of(one)) for one in sent] == expected


def test_what_is_rolled_back_leaves_no_gap_and_no_message(bank: Bank) -> None:
    bank.publish(Moved("1", 1))
    with pytest.raises(LookupError), Session(bank.engine) as session, session.begin():
        bank.announcer.announce(Moved("1", 2), session)
        raise LookupError
    assert bank.publisher.take() == []
    assert numbers(bank.publish(Moved("1", 3))) == [("account=1", 2)]


@pytest.mark.parametrize(("outer", "inner", "last"), list(itertools.product([True, False], repeat=3)))
def test_of_savepoints_those_are_told_that_are_released(bank: Bank, outer: bool, inner: bool, last: bool) -> None:
    class Undone(Exception):
        """Rolls a savepoint back."""

    def say(session: Session, amount: int, kept: bool, within: Callable[[], None] = lambda: None) -> None:
        with suppress(Undone), session.begin_nested():
            bank.announcer.announce(Moved("1", amount), session)
            within()
            if not kept:
                raise Undone

    with Session(bank.engine) as session, session.begin():
        say(session, 1, outer, lambda: say(session, 2, inner))
        bank.announcer.announce(Moved("1", 3), session)
        say(session, 4, last)
    sent = bank.publisher.take()
    kept = [1] * outer + [2] * (outer and inner) + [3] + [4] * last
    assert [row.message["id"] for row in bank.outbox()] == [one.id for one in sent]
    assert [number_of(one) for one in sent] == list(range(1, len(kept) + 1))
    assert [f'"amount":{amount}' in one.body for amount, one in zip(kept, sent, strict=True)] == [True] * len(kept)


def test_threads_that_publish_crosswise_leave_no_gap_and_meet_no_deadlock(engine: Engine) -> None:
    accounts = [str(number) for number in range(4)]
    each = 12

    def work(seed: int) -> Callable[[], None]:
        def publish() -> None:
            order = random.Random(seed)
            bank = Bank(engine)
            for _ in range(each):
                bank.publish(*(Moved(one, seed) for one in order.sample(accounts, len(accounts))))

        return publish

    in_threads([work(seed) for seed in range(4)])
    assert written(Bank(engine)) == {f"account={one}": list(range(1, 4 * each + 1)) for one in accounts}


@pytest.mark.postgresql
def test_who_publishes_second_waits_for_the_first_ones_commit_and_gets_the_next_number(
    postgresql_engine: Engine,
) -> None:
    first, second = Bank(postgresql_engine), Bank(postgresql_engine)
    with postgresql_engine.connect() as held:
        with Session(held) as session:
            first.announcer.announce(Moved("1", 1), session)
            waiting: list[Any] = []

            def publish() -> None:
                waiting.extend(second.publish(Moved("1", 2)))

            def commit() -> None:
                until(lambda: somebody_waits(postgresql_engine))
                assert waiting == []
                session.commit()
                held.commit()

            in_threads([publish, commit])
    assert numbers(waiting) == [("account=1", 2)]


def somebody_waits(engine: Engine) -> bool:
    with engine.connect() as connection:
        return bool(connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").scalar())


def test_numbers_are_taken_at_the_commit_and_not_before(bank: Bank) -> None:
    """Nobody waits for another's transaction any longer than for its commit."""
    with Session(bank.engine) as session:
        with watching(bank.engine) as seen:
            bank.announcer.announce(Moved("1", 1), session)
            session.execute(insert(orders).values(note="in between"))
        assert not seen.writing_to("saga_event_number") and not seen.writing_to("saga_outbox")
        with watching(bank.engine) as seen:
            session.commit()
        assert len(seen.writing_to("saga_event_number")) == 1 and len(seen.writing_to("saga_outbox")) == 1


@pytest.mark.parametrize("known", [False, True])
def test_however_many_streams_are_counted_it_takes_as_few_statements(bank: Bank, known: bool) -> None:
    if known:
        bank.publish(*(Moved(str(account), 1) for account in range(30)))
    counts = []
    for accounts in (range(2), range(30)):
        with bank.engine.connect() as connection, watching(bank.engine) as seen, suppress(LookupError):
            with connection.begin():
                with lent_session(connection) as session:
                    for account in accounts:
                        bank.announcer.announce(Moved(str(account), 1), session)
                raise LookupError
        counts.append(len([one for one in seen.texts if "saga_event_number" in one]))
    assert counts[0] == counts[1] <= 2


# ---- in whose transaction -------------------------------------------------------------------------------------------


def test_the_callers_rows_and_the_event_or_neither_and_it_leaves_just_after_the_commit(bank: Bank) -> None:
    with Session(bank.engine) as session:
        session.execute(insert(orders).values(note="moved"))
        bank.announcer.announce(Moved("1", 1), session)
        assert bank.publisher.take() == [] and rows(bank.engine, outbox) == []
        session.commit()
        assert len(bank.publisher.take()) == 1
        bank.announcer.announce(Moved("1", 2), session)
        session.close()  # silently: never committed
        session.execute(insert(orders).values(note="another"))
        session.commit()
    assert bank.publisher.take() == [] and written(bank) == {"account=1": [1]}


def test_a_scoped_session_is_as_good(bank: Bank) -> None:
    session = scoped_session(sessionmaker(bank.engine))
    bank.announcer.announce(Moved("1", 1), session)
    session.commit()
    session.remove()
    assert len(bank.publisher.take()) == 1


def test_in_a_session_on_a_connection_it_is_written_and_the_relay_sends_it(bank: Bank) -> None:
    for committed in (False, True):
        with bank.engine.connect() as connection, Session(connection) as session:
            transaction = connection.begin()
            bank.announcer.announce(Moved("1", 1), session)
            session.commit()
            assert bank.publisher.take() == [], "whether the connection's owner commits nobody sees"
            transaction.commit() if committed else transaction.rollback()
    assert numbers(bank.relay_at()) == [("account=1", 1)]


def test_while_the_broker_is_away_nothing_is_raised_and_the_relay_sends_it(bank: Bank) -> None:
    bank.publisher.broken = True
    assert bank.publish(Moved("1", 1), Moved("1", 2)) == []
    bank.publisher.broken = False
    assert bank.relay_at() == [], "not at once: it may be on its way"
    due = max(row.due_at for row in bank.outbox())
    assert [number_of(one) for one in bank.relay_at(due + 0.001)] == [1, 2]


def test_what_cannot_be_published_is_refused_at_once_and_the_rest_goes_on(bank: Bank) -> None:
    with Session(bank.engine) as session, session.begin():
        bank.announcer.announce(Moved("1", 1), session)
        for bad in (Moved("", 1), Moved("1", "much")):  # type: ignore[arg-type]  # that is the point
            with pytest.raises(PayloadRefused):
                bank.announcer.announce(bad, session)
        with pytest.raises(DefinitionError):
            bank.announcer.announce(Booked("1", 1), session)
    assert numbers(bank.publisher.take()) == [("account=1", 1)]


def test_an_event_that_nobody_subscribes_to_waits_for_the_operator_and_is_never_sent(bank: Bank) -> None:
    assert bank.publish(Closed("1"), Moved("1", 1)) and len(bank.outbox()) == 2
    (lonely,) = (row for row in bank.outbox() if row.problem)
    assert (lonely.problem, lonely.due_at, lonely.queue) == (NOBODY_SUBSCRIBES, None, "")
    assert bank.relay_at(lonely.created_at + 1e6)[0].task == "bank.moved"
    assert len(rows(bank.engine, event_numbers)) == 1


def test_a_session_that_commits_in_two_phases_is_refused(bank: Bank) -> None:
    """What is written with its commit would not be."""
    with Session(bank.engine, twophase=True) as session, pytest.raises(TwoPhaseRefused, match="twophase=True"):
        bank.announcer.announce(Moved("1", 1), session)
    assert bank.outbox() == []


# ---- in sessions that are lent --------------------------------------------------------------------------------------


@pytest.mark.parametrize("released", [True, False])
def test_what_is_published_through_a_lent_session_is_written_when_the_loan_ends(bank: Bank, released: bool) -> None:
    with bank.engine.begin() as connection, lent_session(connection) as session:
        bank.announcer.announce(Moved("2", 1), session)
        with suppress(LookupError), session.begin_nested():
            session.connection()
            bank.announcer.announce(Moved("1", 2), session)
            if not released:
                raise LookupError
        with watching(bank.engine) as seen:
            bank.announcer.announce(Moved("2", 3), session)
        assert not seen.texts
    assert bank.publisher.take() == []
    assert written(bank) == {"account=2": [1, 2]} | ({"account=1": [1]} if released else {})
    assert len(bank.relay_at()) == 2 + released


def test_who_raises_within_a_loan_has_published_nothing(bank: Bank) -> None:
    with Session(bank.engine) as caller, caller.begin():
        with suppress(LookupError), lent_savepoint(caller) as lent:
            bank.announcer.announce(Moved("1", 1), lent)
            raise LookupError
        with lent_savepoint(caller) as lent:
            bank.announcer.announce(Moved("1", 2), lent)
    assert written(bank) == {"account=1": [1]}
    assert '"amount":2' in bank.relay_at()[0].body


@pytest.mark.postgresql
def test_two_batches_that_publish_crosswise_meet_no_deadlock(postgresql_engine: Engine) -> None:
    """While the one is between its two events, the other publishes both, the other way round."""
    first, second = Bank(postgresql_engine), Bank(postgresql_engine)
    with postgresql_engine.begin() as connection, lent_session(connection) as session:
        first.announcer.announce(Moved("2", 1), session)
        with postgresql_engine.begin() as other, lent_session(other) as others:
            second.announcer.announce(Moved("1", 2), others)
            second.announcer.announce(Moved("2", 2), others)
        first.announcer.announce(Moved("1", 1), session)
    assert written(first) == {"account=1": [1, 2], "account=2": [1, 2]}


# ---- by participants ------------------------------------------------------------------------------------------------


def test_what_handlers_of_commands_publish_commits_with_what_they_write(engine: Engine) -> None:
    move = Command("bank.move", "kitchen.commands", dict)
    bank = Bank(engine)

    @handles(move, database_only=True)
    def do(payload: dict[str, Any], step: HandlerContext) -> None:
        step.session.execute(insert(orders).values(note=payload["account"]))
        step.publish(Moved(payload["account"], 1))
        if payload["account"] == "bad":
            raise LookupError("no such account")

    publisher = RecordingPublisher()
    batches = CommandBatches(engine, publisher, works_of([do]), bank.announcer.announce)
    commands = [
        incoming(move, {"account": account}, step=f"step {place}") for place, account in enumerate(("2", "bad", "1"))
    ]
    for batch in (commands, commands, commands[:1], commands[1:2]):
        with suppress(Unfinished):
            batches.handle([one.delivery() for one in batch])
    assert sorted(written(bank)) == ["account=1", "account=2"]
    assert {tuple(one) for one in written(bank).values()} == {(1,)}
    with engine.connect() as connection:
        assert sorted(connection.scalars(select(orders.c.note))) == ["1", "2"]
    assert len(bank.relay_at()) == 2 and AUDIT not in {row.queue for row in bank.outbox()}


def test_what_is_published_is_what_it_was_then(engine: Engine) -> None:
    @dataclass
    class Draft:
        account: str

    Event("bank.draft", source="bank", payload=Draft, key="account", subscribers=[LEDGER])
    bank, draft = Bank(engine, Draft), Draft("a")
    with Session(engine) as session, session.begin():
        bank.announcer.announce(draft, session)
        draft.account = "b"
    (sent,) = bank.publisher.take()
    assert header_of(sent)["aggregate"] == "account=a" and payload_of(sent) == {"account": "a"}
