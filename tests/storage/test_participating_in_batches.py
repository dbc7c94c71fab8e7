"""Many commands in one transaction: none harmed by his neighbour, none done twice, none lost."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from threading import Event, Thread
from typing import Any
from unittest import mock

import pytest
from celery.exceptions import Ignore, Reject, Retry
from sqlalchemy import Engine, event, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, declarative_base, mapped_column

from sagas_framework import HandlerContext
from sagas_framework.errors import PublishFailed
from sagas_framework.storage.schema import deliveries, kept_messages, participant_memory
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.inbox import Unfinished
from sagas_framework.transport.wire import OutgoingMessage
from sagas_framework.vocabulary.identity import Direction
from tests.support.kitchen import (
    ASK,
    BATCHES,
    CREATE,
    REJECT,
    Kitchen,
    once,
    raising,
    refused,
    set_count,
    somebody_waits,
)
from tests.support.orchestration import raw_delivery, watching
from tests.support.participation import SAGA_ID, BatchBench, Incoming, incoming
from tests.support.sagas import Note, orders
from tests.support.threads import in_threads, until
from tests.support.trouble import (
    LOCK,
    insert_two_rows,
    lose_the_connection,
    meet_a_deadlock,
    refuse_a_note_twice,
    wait_for_no_lock,
)

UNDO = Direction.COMPENSATION
TICKET = ("success", {"ticket_id": 70})
DONE = ("success", None)


@pytest.fixture
def mode() -> str:
    return BATCHES


def worker(kitchen: Kitchen) -> BatchBench:
    assert isinstance(kitchen.bench, BatchBench)
    return kitchen.bench


def step(number: int) -> str:
    return f"step {number}"


def commands(count: int, **changes: Any) -> list[Incoming]:
    return [incoming(CREATE, ASK, step=step(number), **changes) for number in range(count)]


def only_for(number: int, work: Callable[[HandlerContext], Any]) -> Callable[[HandlerContext], None]:
    """What is to happen in the handler of that step alone."""

    def guarded(context: HandlerContext) -> None:
        if context.step == step(number):
            work(context)

    return guarded


def answers_by_step(bench: BatchBench) -> list[tuple[str, str]]:
    """(step, success | failure) in the order in which they were sent."""
    return [((one.correlation or {})["step"], one.task.rpartition(".")[2]) for one in bench.publisher.take()]


def outcomes(kitchen: Kitchen) -> dict[str, str | None]:
    with kitchen.engine.connect() as connection:
        rows = connection.execute(select(participant_memory.c.step, participant_memory.c.outcome))
        return {row.step: row.outcome for row in rows}


# ---- one transaction ------------------------------------------------------------------------------------------------


@pytest.mark.rule(12)
def test_a_batch_is_one_transaction_and_the_frameworks_statements_do_not_grow_with_it(kitchen: Kitchen) -> None:
    with watching(kitchen.engine) as few:
        worker(kitchen).handle(*commands(2))
    with watching(kitchen.engine) as many:
        worker(kitchen).handle(*(incoming(CREATE, ASK, step=f"another {number}") for number in range(50)))
    assert (few.commits, many.commits) == (1, 1)
    assert not any("SAVEPOINT" in statement for statement in many.texts)
    framework = [len([one for one in seen.texts if "app_order" not in one]) for seen in (few, many)]
    assert framework[0] == framework[1]
    assert worker(kitchen).answers() == [TICKET] * 52


@pytest.mark.rule(12)
def test_answers_are_sent_in_the_order_of_their_commands(kitchen: Kitchen) -> None:
    kitchen.before_create = only_for(3, raising(LookupError("no such dish")))
    worker(kitchen).handle(*commands(6))
    expected = [(step(number), "failure" if number == 3 else "success") for number in range(6)]
    assert answers_by_step(worker(kitchen)) == expected


@pytest.mark.rule(12)
def test_what_a_batch_remembers_a_single_command_reads_and_the_other_way_round(kitchen: Kitchen) -> None:
    one_by_one = kitchen.worker_with_threads()
    first, second = commands(2)
    one_by_one.perform(first)
    worker(kitchen).handle(first.again(), second)
    one_by_one.perform(second.again())
    assert worker(kitchen).answers() + one_by_one.answers() == [TICKET] * 4
    assert kitchen.notes() == ["created"] * 2


# ---- who raises -----------------------------------------------------------------------------------------------------


@pytest.mark.rule(12, 13)
@pytest.mark.parametrize("bad", [0, 50, 99])
def test_one_handler_of_a_hundred_that_raises_fails_alone_and_nothing_is_written_twice(
    kitchen: Kitchen, bad: int
) -> None:
    kitchen.before_create = only_for(bad, raising(LookupError("no such dish")))
    with watching(kitchen.engine) as seen:
        worker(kitchen).handle(*commands(100))
    assert seen.commits == 1, "what was rolled back is done again in one transaction"
    sent = worker(kitchen).answers()
    assert sent.count(TICKET) == 99 and refused(sent) == ["LookupError"]
    assert kitchen.notes() == ["created"] * 99
    remembered = outcomes(kitchen)
    assert remembered.pop(step(bad)) == "failed" and set(remembered.values()) == {"succeeded"}


@pytest.mark.rule(13)
def test_every_handler_of_a_batch_may_raise(kitchen: Kitchen) -> None:
    kitchen.before_create = raising(LookupError("no such dish"))
    worker(kitchen).handle(*commands(5))
    assert refused(worker(kitchen).answers()) == ["LookupError"] * 5
    assert kitchen.notes() == []


@pytest.mark.rule(13)
@pytest.mark.parametrize("error", [Retry("later"), Reject("no"), Ignore()], ids=["Retry", "Reject", "Ignore"])
def test_what_would_speak_to_celery_is_an_ordinary_failure_where_celery_runs_no_task(
    kitchen: Kitchen, error: Exception
) -> None:
    kitchen.before_create = only_for(1, raising(error))
    worker(kitchen).handle(*commands(3))
    sent = worker(kitchen).answers()
    assert refused(sent) == [type(error).__name__] and sent.count(TICKET) == 2
    kitchen.before_create = raising(error)
    worker(kitchen).handle(incoming(CREATE, ASK, step="alone"))
    assert refused(worker(kitchen).answers()) == [type(error).__name__]


def test_a_handler_that_catches_what_the_session_refused_commits_nothing_early(kitchen: Kitchen) -> None:
    """The last of the batch raises: what the first wanted to commit is rolled back with it and done again."""

    def commit_all_the_same(context: HandlerContext) -> None:
        with pytest.raises(Exception, match="commit"):
            context.session.commit()

    kitchen.before_create = lambda context: (
        commit_all_the_same(context) if context.step == step(0) else raising(LookupError("no"))()
    )
    worker(kitchen).handle(*commands(2))
    assert [outcome for outcome, _ in worker(kitchen).answers()] == ["success", "failure"]
    assert kitchen.notes() == ["created"]


def test_a_savepoint_of_a_handlers_own_is_rolled_back_alone(kitchen: Kitchen) -> None:
    def try_something(context: HandlerContext) -> None:
        with pytest.raises(LookupError), context.session.begin_nested():
            context.session.execute(insert(orders).values(note="never"))
            raise LookupError

    kitchen.before_create = only_for(1, try_something)
    worker(kitchen).handle(*commands(3))
    assert worker(kitchen).answers() == [TICKET] * 3
    assert kitchen.notes() == ["created"] * 3


Base = declarative_base()


class Dish(Base):  # type: ignore[misc, valid-type]  # as declarative_base() is typed
    __tablename__ = "dish"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


@pytest.mark.rule(12, 13)
def test_an_object_whose_flush_the_database_refuses_fails_its_own_command(kitchen: Kitchen) -> None:
    """Nobody has flushed when the handlers return: the batch's flush refuses, and does not say whose it was."""
    Base.metadata.create_all(kitchen.engine)
    kitchen.before_create = lambda context: context.session.add(
        Dish(name="soup" if context.step in (step(1), step(3)) else context.step)
    )
    worker(kitchen).handle(*commands(5))
    expected = [(step(number), "failure" if number == 3 else "success") for number in range(5)]
    assert answers_by_step(worker(kitchen)) == expected
    with kitchen.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(Dish)) == 4


@pytest.mark.postgresql
@pytest.mark.rule(13)
@pytest.mark.parametrize("is_flushed", [True, False], ids=["written", "changed and not flushed"])
def test_a_deferred_constraint_that_fails_at_the_end_fails_the_command_that_broke_it(
    postgresql_kitchen: Kitchen, is_flushed: bool
) -> None:
    kitchen = postgresql_kitchen
    refuse_a_note_twice(kitchen.engine)

    def take_a_note(context: HandlerContext) -> None:
        mine = context.session.scalars(select(Note).where(Note.note == "created")).one()
        mine.note = "taken" if context.step == step(2) else context.step
        if is_flushed:
            context.session.flush()

    kitchen.before_create = take_a_note
    worker(kitchen).handle(*commands(5))
    expected = [(step(number), "failure" if number == 2 else "success") for number in range(5)]
    assert answers_by_step(worker(kitchen)) == expected
    assert kitchen.notes() == ["taken", *(step(number) for number in (0, 1, 3, 4))]


@pytest.mark.postgresql
@pytest.mark.rule(13)
def test_a_handler_that_swallows_what_the_database_refused_fails_and_not_the_next_one(
    postgresql_kitchen: Kitchen,
) -> None:
    """PostgreSQL has aborted the transaction by then; whoever asks next is told so."""
    kitchen = postgresql_kitchen

    def swallow(context: HandlerContext) -> None:
        with pytest.raises(DBAPIError):
            context.session.execute(text("SELECT 1 / 0"))

    kitchen.before_create = only_for(1, swallow)
    worker(kitchen).handle(*commands(4))
    expected = [(step(number), "failure" if number == 1 else "success") for number in range(4)]
    assert answers_by_step(worker(kitchen)) == expected


# ---- one step more than once in a batch -----------------------------------------------------------------------------


@pytest.mark.rule(12)
@pytest.mark.parametrize("raises", [False, True], ids=["all is well", "a neighbour raises"])
def test_a_duplicate_in_the_same_batch_gets_the_same_answer_and_runs_nothing(kitchen: Kitchen, raises: bool) -> None:
    command, neighbour = commands(2)
    kitchen.before_create = only_for(1, raising(LookupError("no"))) if raises else lambda context: None
    worker(kitchen).handle(command, neighbour, command, command.asked_again(), command.again())
    sent = worker(kitchen).publisher.take()
    assert len({message.id for message in sent if message.parent_id == command.id}) == 1
    assert [message.parent_id for message in sent] == [command.id, neighbour.id, *[command.id] * 3]
    assert kitchen.notes() == ["created"] * (1 if raises else 2)


@pytest.mark.rule(13)
def test_of_two_attempts_in_one_batch_the_second_runs_only_because_the_first_failed(kitchen: Kitchen) -> None:
    kitchen.before_create = lambda context: raising(LookupError("no"))() if context.attempt == 1 else None
    first, second = (incoming(CREATE, ASK, attempt=attempt) for attempt in (1, 2))
    worker(kitchen).handle(first, second, second)
    assert [outcome for outcome, _ in worker(kitchen).answers()] == ["failure", "success", "success"]
    assert kitchen.notes() == ["created"]


@pytest.mark.rule(12, 14)
@pytest.mark.parametrize("raises", [False, True], ids=["all is well", "a neighbour raises"])
def test_action_and_compensation_of_one_step_in_one_batch_see_each_other(kitchen: Kitchen, raises: bool) -> None:
    kitchen.before_create = only_for(1, raising(LookupError("no"))) if raises else lambda context: None
    _, neighbour = commands(2)
    worker(kitchen).handle(incoming(CREATE, ASK), neighbour, incoming(REJECT, ASK, UNDO))
    created, _, rejected = worker(kitchen).answers()
    assert (created, rejected) == (TICKET, DONE)
    assert kitchen.notes() == (["created", "rejected 70"] if raises else ["created", "created", "rejected 70"])


@pytest.mark.rule(14)
@pytest.mark.parametrize("raises", [False, True], ids=["all is well", "a neighbour raises"])
def test_compensation_before_its_action_in_one_batch_refuses_the_action(kitchen: Kitchen, raises: bool) -> None:
    kitchen.before_create = only_for(1, raising(LookupError("no"))) if raises else lambda context: None
    _, neighbour = commands(2)
    worker(kitchen).handle(incoming(REJECT, ASK, UNDO), neighbour, incoming(CREATE, ASK))
    sent = worker(kitchen).answers()
    assert sent[0] == DONE and sent[2][1]["type"] == "AlreadyCompensated"
    assert kitchen.notes() == ([] if raises else ["created"])


@pytest.mark.rule(14)
def test_an_action_that_fails_in_a_batch_needs_no_compensation_in_it(kitchen: Kitchen) -> None:
    kitchen.before_create = raising(LookupError("no"))
    worker(kitchen).handle(incoming(CREATE, ASK), incoming(REJECT, ASK, UNDO), incoming(CREATE, ASK, attempt=2))
    sent = worker(kitchen).answers()
    assert sent[1] == DONE and refused(sent) == ["LookupError", "AlreadyCompensated"]
    assert kitchen.notes() == []


# ---- several workers ------------------------------------------------------------------------------------------------


@pytest.mark.rule(12)
def test_workers_with_the_same_batch_in_opposite_orders_do_each_command_once(kitchen: Kitchen) -> None:
    batch = commands(30)
    workers = [kitchen.worker_in_batches() for _ in range(3)]
    in_threads([partial(one.handle, *(batch if place % 2 else reversed(batch))) for place, one in enumerate(workers)])
    assert [one.answers() for one in workers] == [[TICKET] * 30] * 3
    assert kitchen.notes() == ["created"] * 30


@pytest.mark.rule(12, 14)
def test_a_batch_of_actions_against_a_batch_of_their_compensations_leaves_no_step_in_force_and_undone(
    kitchen: Kitchen,
) -> None:
    acting, undoing = kitchen.worker_in_batches(), kitchen.worker_in_batches()
    undos = [incoming(REJECT, ASK, UNDO, step=step(number)) for number in range(20)]
    in_threads([partial(acting.handle, *commands(20)), partial(undoing.handle, *reversed(undos))])
    assert undoing.answers() == [DONE] * 20
    done = acting.answers().count(TICKET)
    assert kitchen.notes().count("created") == kitchen.notes().count("rejected 70") == done


# ---- what cannot be read --------------------------------------------------------------------------------------------


def wild(body: Any, **headers: Any) -> Delivery:
    return raw_delivery(body if isinstance(body, (str, bytes)) else json.dumps(body), CREATE.name, **headers)


DEEP = "[" * 60_000 + "]" * 60_000
UNREADABLE: dict[str, Callable[[], Delivery]] = {
    "not JSON": lambda: wild(b"\xff\xfe{"),
    "no arguments": lambda: wild({"args": []}),
    "too deep": lambda: wild(f'[["{SAGA_ID}", {DEEP}], {{}}, {{}}]'),
    "too deep for the stack": lambda: wild("[" * 400_000),
    "NUL": lambda: wild(f'[["{SAGA_ID}", "a\\u0000b"], {{}}, {{}}]'),
    "infinity": lambda: wild(f'[["{SAGA_ID}", 1e999], {{}}, {{}}]'),
    "half a surrogate pair": lambda: wild(f'[["{SAGA_ID}", "\\ud83d"], {{}}, {{}}]'),
    "too long": lambda: wild(json.dumps([[SAGA_ID, "x" * 1_100_000], {}, {}])),
}


@pytest.mark.rule(4)
@pytest.mark.parametrize("redelivered", [False, True], ids=["first", "redelivered"])
@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_read_is_kept_and_the_rest_of_its_batch_is_done(
    kitchen: Kitchen, what: str, redelivered: bool
) -> None:
    unreadable = UNREADABLE[what]()
    unreadable._message.delivery_info["redelivered"] = redelivered
    one, other = commands(2)
    worker(kitchen).handle(one, unreadable, other)
    assert worker(kitchen).answers() == [TICKET] * 2
    assert kitchen.count(kept_messages) == 1 and kitchen.count(deliveries) == 0


@pytest.mark.rule(4)
def test_a_batch_of_nothing_but_what_cannot_be_read_is_kept(kitchen: Kitchen) -> None:
    worker(kitchen).handle(wild("{"), wild("[", id="another"))
    assert kitchen.count(kept_messages) == 2 and worker(kitchen).answers() == []


READABLE_BUT_ODD: dict[str, Callable[[], Delivery]] = {
    "a saga id of another type": lambda: wild([[["x"], ASK], {}, {}]),
    "a saga id without end": lambda: wild([["x" * 5_000, ASK], {}, {}]),
    "an id that no database holds": lambda: wild([["x", ASK], {}, {}], id="a\x00\ud800"),
    "an id without end": lambda: wild([["x", ASK], {}, {}], id="x" * 5_000),
    "headers that are no dictionary of ours": lambda: wild([["x", ASK], {}, {}], sagas=["?"]),
    "an infinite attempt": lambda: wild([["x", ASK], {}, {}], sagas={"attempt": float("inf")}),
    "NUL in the header": lambda: wild([["x", ASK], {}, {}], sagas={"step": "\x00", "attempt": 1}),
    "a number that no column holds": lambda: wild([["x", {"order_id": 10**400}], {}, {}]),
}


@pytest.mark.rule(12)
@pytest.mark.parametrize("redelivered", [False, True], ids=["first", "redelivered"])
@pytest.mark.parametrize("what", READABLE_BUT_ODD)
def test_a_strange_command_comes_to_an_end_and_harms_nobody(kitchen: Kitchen, what: str, redelivered: bool) -> None:
    strange = READABLE_BUT_ODD[what]()
    strange._message.delivery_info["redelivered"] = redelivered
    one, other = commands(2)
    worker(kitchen).handle(one, strange, other)
    assert worker(kitchen).answers() == [TICKET] * 2
    assert kitchen.count(participant_memory) == 3 and kitchen.count(deliveries) == 0


# ---- poison ---------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for kill -9: nothing in the process can catch it."""


@pytest.mark.rule(11)
@pytest.mark.parametrize("copy", [Incoming.again, Incoming.asked_again], ids=["redelivered", "asked again"])
def test_a_command_that_kills_its_worker_every_time_is_parked_on_its_fifth_delivery(
    kitchen: Kitchen, copy: Callable[[Incoming], Incoming]
) -> None:
    poison, innocent = commands(2)
    kitchen.before_create = only_for(0, raising(Killed()))
    done_after = 0
    for delivery in range(1, 5):
        with pytest.raises(Killed):
            worker(kitchen).handle(*((poison, innocent) if delivery == 1 else (copy(innocent), copy(poison))))
        done_after = done_after or (delivery if kitchen.notes() else 0)
    worker(kitchen).handle(copy(innocent), copy(poison))
    assert done_after == 3, "from its third delivery a suspect runs alone"
    assert kitchen.count(kept_messages) == 1 and kitchen.count(deliveries) == 0
    assert kitchen.notes() == ["created"]
    worker(kitchen).answers()
    worker(kitchen).handle(poison, poison.asked_again())
    assert worker(kitchen).answers() == [], "it waits with the operator, and is not begun again"


@pytest.mark.rule(11)
def test_poison_alone_in_its_batch_is_parked_too(kitchen: Kitchen) -> None:
    (poison,) = commands(1)
    set_count(kitchen.engine, poison, 3)
    worker(kitchen).handle(poison.again())
    assert kitchen.count(kept_messages) == 1 and kitchen.count(deliveries) == 0
    assert worker(kitchen).answers() == [] and kitchen.runs == []


@pytest.mark.rule(11, 14)
def test_a_parked_action_can_be_compensated_in_the_batch_that_parks_it_or_a_later_one(kitchen: Kitchen) -> None:
    poison = incoming(CREATE, ASK)
    set_count(kitchen.engine, poison, 3)
    worker(kitchen).handle(poison.again(), incoming(REJECT, ASK, UNDO))
    worker(kitchen).handle(incoming(REJECT, ASK, UNDO).asked_again())
    assert worker(kitchen).answers() == [DONE] * 2
    assert kitchen.notes() == []


@pytest.mark.rule(11)
def test_a_command_that_the_framework_fails_on_ends_with_the_operator_and_takes_nobody_along(kitchen: Kitchen) -> None:
    """The inbox gives the whole batch back, again and again; the innocent are done when each runs alone."""
    bad, *innocent = commands(6)
    real = worker(kitchen).batches._answers._transaction

    def fail_on_it(engine: Engine, batch: Sequence[Any], run: Any) -> Any:
        if any(order.message_id == bad.id for order in batch):
            raise ZeroDivisionError
        return real(engine, batch, run)

    waiting = [bad, *innocent]
    with mock.patch.object(worker(kitchen).batches._answers, "_transaction", fail_on_it):
        for _ in range(10):
            try:
                worker(kitchen).handle(*waiting)
                break
            except ZeroDivisionError:
                waiting = [command.again() for command in reversed(waiting)]
    assert kitchen.count(kept_messages) == 1
    assert kitchen.notes() == ["created"] * len(innocent)
    assert {name for name, outcome in answers_by_step(worker(kitchen)) if outcome == "success"} == {
        command.place.step for command in innocent if command.place
    }


# ---- bad weather ----------------------------------------------------------------------------------------------------


def go_on_until_done(kitchen: Kitchen, held: Sequence[Delivery], most_rounds: int = 5) -> None:
    """Plays the inbox: what it holds comes back."""
    for _ in range(most_rounds):
        for delivery in held:
            delivery.tried_before = True
        try:
            worker(kitchen).handle(*held)
            return
        except Unfinished as unfinished:
            assert not unfinished.give_back
            held = list(unfinished.hold)
    raise AssertionError("it was held for ever")


def held_by(kitchen: Kitchen, batch: Sequence[Incoming]) -> list[Delivery]:
    """What is to be held of a batch, which is not one that can be finished."""
    brought = [command.delivery() for command in batch]
    with pytest.raises(Unfinished) as unfinished:
        worker(kitchen).handle(*brought)
    assert not unfinished.value.give_back
    return list(unfinished.value.hold)


@pytest.mark.rule(13)
@pytest.mark.postgresql
def test_a_lost_connection_holds_the_whole_batch_and_then_its_commands_run_one_by_one(
    postgresql_kitchen: Kitchen,
) -> None:
    kitchen = postgresql_kitchen
    kitchen.before_create = only_for(2, once(lose_the_connection))
    held = held_by(kitchen, commands(5))
    assert len(held) == 5 and worker(kitchen).answers() == []
    with watching(kitchen.engine) as seen:
        go_on_until_done(kitchen, held)
    assert seen.commits == 5
    assert worker(kitchen).answers() == [TICKET] * 5
    assert kitchen.notes() == ["created"] * 5


@pytest.mark.rule(13)
@pytest.mark.postgresql
def test_of_commands_that_run_one_by_one_those_are_held_that_were_not_reached_and_the_culprit_comes_last(
    postgresql_kitchen: Kitchen,
) -> None:
    kitchen = postgresql_kitchen
    batch = [command.delivery() for command in commands(4)]
    for delivery in batch:
        delivery.tried_before = True
    kitchen.before_create = only_for(1, once(lose_the_connection))
    with pytest.raises(Unfinished) as unfinished:
        worker(kitchen).handle(*batch)
    assert list(unfinished.value.hold) == [batch[2], batch[3], batch[1]]
    assert worker(kitchen).answers() == [TICKET]
    go_on_until_done(kitchen, list(unfinished.value.hold))
    assert kitchen.notes() == ["created"] * 4


@pytest.mark.rule(12)
@pytest.mark.postgresql
def test_a_commit_whose_answer_was_lost_is_answered_from_memory(postgresql_kitchen: Kitchen) -> None:
    kitchen = postgresql_kitchen

    @once
    def lose_the_answer(connection: Any) -> None:
        connection.connection.driver_connection.commit()
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    event.listen(kitchen.engine, "commit", lose_the_answer)
    held = held_by(kitchen, commands(3))
    assert kitchen.notes() == ["created"] * 3 and worker(kitchen).answers() == []
    go_on_until_done(kitchen, held)
    assert worker(kitchen).answers() == [TICKET] * 3
    assert kitchen.notes() == ["created"] * 3 and len(kitchen.runs) == 3


@pytest.mark.rule(9, 13)
@pytest.mark.postgresql
def test_bad_weather_in_the_careful_second_try_is_no_refusal_either(postgresql_kitchen: Kitchen) -> None:
    """A neighbour's refusal made all of them run again; this time somebody meets a deadlock, inside his savepoint."""
    kitchen, runs = postgresql_kitchen, list[str]()

    def deadlock_on_the_second_run(context: HandlerContext) -> None:
        runs.append(context.step)
        if len(runs) == 2:
            meet_a_deadlock(context)

    def work(context: HandlerContext) -> None:
        only_for(1, deadlock_on_the_second_run)(context)
        only_for(2, raising(LookupError("no such dish")))(context)

    kitchen.before_create = work
    held = held_by(kitchen, commands(3))
    assert len(held) == 3 and worker(kitchen).answers() == []
    go_on_until_done(kitchen, held)
    sent = worker(kitchen).answers()
    assert sent.count(TICKET) == 2 and refused(sent) == ["LookupError"]
    assert kitchen.notes() == ["created"] * 2


@pytest.mark.rule(13)
@pytest.mark.postgresql
def test_a_deadlock_between_two_batches_is_answered_by_nobody_and_both_are_done(postgresql_kitchen: Kitchen) -> None:
    """Their handlers lock the same two rows, the other way round."""
    kitchen = postgresql_kitchen
    insert_two_rows(kitchen.engine)
    here_has_one, there_has_one = Event(), Event()

    def lock(context: HandlerContext, row: int) -> None:
        context.session.execute(LOCK, {"id": row})

    @once
    def here_first(context: HandlerContext) -> None:
        context.session.execute(text("SET LOCAL deadlock_timeout = '10ms'"))  # this side is the victim
        context.session.execute(text("SET LOCAL lock_timeout = '0'"))
        lock(context, 101)
        here_has_one.set()
        assert there_has_one.wait(10)
        until(lambda: somebody_waits(kitchen.engine))
        lock(context, 102)

    @once
    def there_first(context: HandlerContext) -> None:
        context.session.execute(text("SET LOCAL deadlock_timeout = '1min'"))
        context.session.execute(text("SET LOCAL lock_timeout = '0'"))
        lock(context, 102)
        there_has_one.set()
        assert here_has_one.wait(10)
        lock(context, 101)

    def run_into_it(context: HandlerContext) -> None:
        if context.step == step(1):
            here_first(context)
        elif context.step == "there":
            there_first(context)

    kitchen.before_create = run_into_it
    there = kitchen.worker_in_batches()
    other = Thread(target=there.handle, args=[incoming(CREATE, ASK, step="there")])
    other.start()
    held = held_by(kitchen, commands(3))
    other.join()
    assert len(held) == 3
    go_on_until_done(kitchen, held)
    assert worker(kitchen).answers() == [TICKET] * 3 and there.answers() == [TICKET]
    assert kitchen.notes().count("created") == 4


@pytest.mark.rule(13)
@pytest.mark.postgresql
def test_who_waits_too_long_for_a_lock_holds_up_nobody_else(postgresql_kitchen: Kitchen) -> None:
    kitchen = postgresql_kitchen
    insert_two_rows(kitchen.engine)

    def lock(context: HandlerContext) -> None:
        context.session.execute(text("SET LOCAL lock_timeout = '10ms'"))
        context.session.execute(LOCK, {"id": 101})

    kitchen.before_create = only_for(1, lock)
    with kitchen.engine.begin() as somebody:
        somebody.execute(LOCK, {"id": 101})
        held = held_by(kitchen, commands(4))
        for delivery in held:
            delivery.tried_before = True
        for _ in range(3):
            with pytest.raises(Unfinished) as unfinished:
                worker(kitchen).handle(*held)
            held = list(unfinished.value.hold)
        assert len(held) == 1
        assert worker(kitchen).answers() == [TICKET] * 3
    go_on_until_done(kitchen, held)
    assert worker(kitchen).answers() == [TICKET]


@pytest.mark.rule(13)
def test_a_locked_database_holds_the_batch(sqlite_kitchen: Kitchen) -> None:
    kitchen = sqlite_kitchen
    wait_for_no_lock(kitchen.engine)
    with kitchen.engine.begin():
        held = held_by(kitchen, [command.again() for command in commands(3)])
    assert len(held) == 3
    go_on_until_done(kitchen, held)
    assert worker(kitchen).answers() == [TICKET] * 3
    assert kitchen.count(deliveries) == 0


# ---- what could not be sent -----------------------------------------------------------------------------------------


@pytest.mark.rule(10)
def test_exactly_those_commands_are_given_back_whose_answers_could_not_be_sent(kitchen: Kitchen) -> None:
    batch = [command.delivery() for command in commands(6)]
    publish = worker(kitchen).publisher.publish

    def refuse_two(messages: Sequence[OutgoingMessage]) -> None:
        publish([message for place, message in enumerate(messages) if place not in (1, 4)])
        raise PublishFailed("its queue is full", frozenset({messages[1].id, messages[4].id}))

    with (
        mock.patch.object(worker(kitchen).publisher, "publish", refuse_two),
        pytest.raises(Unfinished) as unfinished,
    ):
        worker(kitchen).handle(*batch)
    assert list(unfinished.value.give_back) == [batch[1], batch[4]] and not unfinished.value.hold
    assert len(worker(kitchen).answers()) == 4
    worker(kitchen).handle(*commands(6)[1:5:3])
    assert worker(kitchen).answers() == [TICKET] * 2
    assert kitchen.notes() == ["created"] * 6


@pytest.mark.rule(10)
def test_all_copies_of_a_command_are_given_back_when_their_answer_could_not_be_sent(kitchen: Kitchen) -> None:
    command, other = commands(2)
    batch = [command.delivery(), other.delivery(), command.again().delivery()]
    worker(kitchen).publisher.broken = True
    with pytest.raises(Unfinished) as unfinished:
        worker(kitchen).handle(*batch)
    assert list(unfinished.value.give_back) == batch


def test_a_command_that_nobody_awaits_is_done_without_an_answer(kitchen: Kitchen) -> None:
    kitchen.before_create = only_for(1, raising(LookupError("gone")))
    worker(kitchen).handle(*commands(3, reply_queue=None))
    assert worker(kitchen).answers() == []
    assert kitchen.notes() == ["created"] * 2
    assert kitchen.count(kept_messages) == 1, "a failure that nobody awaits is the operator's"
