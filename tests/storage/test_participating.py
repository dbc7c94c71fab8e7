"""The participant's barrier, with real concurrent connections: never both in force, never neither answered.

Whatever is claimed here holds for a command that a thread does, for one that is a batch by itself, and for one among
others, whose work must not suffer from it.
"""

from collections.abc import Callable
from functools import partial
from threading import Event, Thread, get_ident
from typing import Any

import pytest
from celery.exceptions import Reject
from sqlalchemy import Connection, Engine, event, select, text, update
from sqlalchemy.exc import DBAPIError

from sagas_framework import HandlerContext, Refusal, TransientError
from sagas_framework.storage.schema import deliveries, kept_messages, participant_memory
from sagas_framework.vocabulary.identity import Direction
from tests.support.kitchen import (
    AMONG_OTHERS,
    ASK,
    BATCHES,
    CREATE,
    REJECT,
    THREADS,
    Kitchen,
    about_to_wait,
    once,
    raising,
    refused,
    somebody_waits,
)
from tests.support.participation import Incoming, incoming, payload_of
from tests.support.sagas import Note
from tests.support.threads import in_threads, until
from tests.support.trouble import (
    LOCK,
    insert_two_rows,
    lose_the_connection,
    meet_a_deadlock,
    refuse_a_note_twice,
)

UNDO = Direction.COMPENSATION


class SoldOut(Refusal):
    pass


@pytest.fixture(params=[THREADS, BATCHES, AMONG_OTHERS])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[THREADS, BATCHES])
def lone_kitchen(request: pytest.FixtureRequest, engine: Engine) -> Kitchen:
    """Its commands come without neighbours."""
    return Kitchen(engine, request.param)


# ---- duplicates and attempts ----------------------------------------------------------------------------------------


@pytest.mark.rule(12)
def test_a_duplicate_sends_the_remembered_reply_without_running_the_handler(kitchen: Kitchen) -> None:
    command = incoming(CREATE, ASK)
    for delivered in (command, command.again(), command.again(redelivered=False)):
        kitchen.bench.perform(delivered)
    assert kitchen.bench.answers() == [("success", {"ticket_id": 70})] * 3
    assert kitchen.notes() == ["created"]


@pytest.mark.rule(12)
def test_a_success_in_any_attempt_answers_every_later_attempt(kitchen: Kitchen) -> None:
    for attempt in (2, 1, 3):
        kitchen.bench.perform(incoming(CREATE, ASK, attempt=attempt))
    assert kitchen.bench.answers() == [("success", {"ticket_id": 70})] * 3
    assert kitchen.runs == ["create"]


@pytest.mark.rule(12)
def test_two_workers_that_get_the_same_command_at_once_run_its_handler_once(kitchen: Kitchen) -> None:
    workers = [kitchen.worker() for _ in range(4)]
    in_threads([partial(worker.perform, incoming(CREATE, ASK)) for worker in workers])
    assert [worker.answers() for worker in workers] == [[("success", {"ticket_id": 70})]] * 4
    assert kitchen.notes() == ["created"]


@pytest.mark.rule(13)
def test_a_failure_is_remembered_and_a_new_attempt_runs_the_handler_again(kitchen: Kitchen) -> None:
    kitchen.before_create = raising(LookupError("no such dish"))
    kitchen.bench.perform(incoming(CREATE, ASK))
    runs = len(kitchen.runs)
    kitchen.bench.perform(incoming(CREATE, ASK).again())
    assert refused(kitchen.bench.answers()) == ["LookupError", "LookupError"]
    assert len(kitchen.runs) == runs and kitchen.notes() == []
    kitchen.before_create = lambda step: None
    kitchen.bench.perform(incoming(CREATE, ASK, attempt=2))
    assert kitchen.bench.answers() == [("success", {"ticket_id": 70})]


@pytest.mark.rule(13)
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TransientError("later"), "transient"),
        (TimeoutError("slow"), "transient"),
        (SoldOut("no plates"), "refused"),
        (KeyError(), "error"),
    ],
)
def test_what_a_handler_raises_is_answered_as_not_now_as_no_or_as_an_error(
    kitchen: Kitchen, error: Exception, kind: str
) -> None:
    kitchen.before_create = raising(error)
    for command in (incoming(CREATE, ASK), incoming(CREATE, ASK).again()):
        kitchen.bench.perform(command)
    replies = [reply for reply in kitchen.bench.publisher.take() if (reply.correlation or {})["step"] == "create"]
    assert [(reply.correlation or {})["failure_kind"] for reply in replies] == [kind] * 2
    assert all(payload_of(reply).keys() == {"type", "message", "module", "traceback"} for reply in replies)


@pytest.mark.rule(13)
@pytest.mark.parametrize(("transient", "kind"), [(True, "transient"), (False, "error")])
def test_a_failure_remembered_before_failures_had_kinds_stays_transient_if_it_was(
    kitchen: Kitchen, transient: bool, kind: str
) -> None:
    command = incoming(CREATE, ASK)
    kitchen.before_create = raising(LookupError("no such dish"))
    kitchen.bench.perform(command)
    with kitchen.engine.begin() as connection:
        asked_for = participant_memory.c.step == "create"
        failure = dict(connection.scalars(select(participant_memory.c.failure).where(asked_for)).one())
        assert failure.pop("kind") == "error"
        connection.execute(update(participant_memory).where(asked_for).values(failure=failure, transient=transient))
    kitchen.bench.publisher.take()
    kitchen.bench.perform(command.again())
    replies = [reply for reply in kitchen.bench.publisher.take() if (reply.correlation or {})["step"] == "create"]
    assert [(reply.correlation or {})["failure_kind"] for reply in replies] == [kind]


@pytest.mark.rule(13)
def test_a_failure_is_committed_before_it_is_answered(kitchen: Kitchen) -> None:
    kitchen.before_create = raising(LookupError("no such dish"))
    kitchen.bench.publisher.broken = True
    with pytest.raises(Reject):
        kitchen.bench.perform(incoming(CREATE, ASK))
    kitchen.bench.publisher.broken = False
    runs = len(kitchen.runs)
    kitchen.bench.perform(incoming(CREATE, ASK).again())
    assert refused(kitchen.bench.answers()) == ["LookupError"]
    assert len(kitchen.runs) == runs


def test_a_payload_that_does_not_match_is_answered_as_a_failure_that_names_the_field(kitchen: Kitchen) -> None:
    kitchen.bench.perform(incoming(CREATE, {"order_id": "seven"}))
    ((outcome, failure),) = kitchen.bench.answers()
    assert outcome == "failure" and failure["type"] == "PayloadRefused" and "order_id" in failure["message"]
    assert kitchen.runs == []


def test_a_command_of_somebody_who_knows_nothing_of_us_is_deduplicated_by_its_celery_id(kitchen: Kitchen) -> None:
    for identity in ("a", "a", "b"):
        kitchen.bench.perform(Incoming(CREATE.name, ASK, None, identity))
    assert kitchen.runs == ["create", "create"]


# ---- compensations --------------------------------------------------------------------------------------------------


@pytest.mark.rule(14)
def test_a_compensation_after_its_action_is_given_what_the_action_answered(kitchen: Kitchen) -> None:
    kitchen.bench.perform(incoming(CREATE, ASK))
    undo = incoming(REJECT, ASK, UNDO)
    for delivered in (undo, undo.again()):
        kitchen.bench.perform(delivered)
    assert [outcome for outcome, _ in kitchen.bench.answers()] == ["success"] * 3
    assert kitchen.notes() == ["created", "rejected 70"]


@pytest.mark.rule(14)
def test_a_compensation_before_its_action_is_answered_and_the_action_refused_in_any_attempt(kitchen: Kitchen) -> None:
    kitchen.bench.perform(incoming(REJECT, ASK, UNDO))
    assert kitchen.bench.answers() == [("success", None)]
    for attempt in (1, 2):
        kitchen.bench.perform(incoming(CREATE, ASK, attempt=attempt))
    assert refused(kitchen.bench.answers()) == ["AlreadyCompensated"] * 2
    assert kitchen.runs == []


@pytest.mark.rule(12, 14)
def test_a_compensation_during_its_action_waits_and_then_undoes_it(kitchen: Kitchen) -> None:
    inside, go_on = Event(), Event()

    def wait(step: HandlerContext) -> None:
        inside.set()
        assert go_on.wait(10)

    kitchen.before_create = wait
    acting, undoing = kitchen.worker(), kitchen.worker()
    action = Thread(target=acting.perform, args=(incoming(CREATE, ASK),))
    action.start()
    assert inside.wait(10)
    waiting = about_to_wait(kitchen.engine)
    compensation = Thread(target=undoing.perform, args=(incoming(REJECT, ASK, UNDO),))
    compensation.start()
    waiting()
    assert undoing.answers() == []
    go_on.set()
    action.join()
    compensation.join()
    assert acting.answers() == [("success", {"ticket_id": 70})]
    assert undoing.answers() == [("success", None)]
    assert kitchen.notes() == ["created", "rejected 70"]


@pytest.mark.rule(13, 14)
def test_a_compensation_between_a_failing_actions_rollback_and_its_memory_wins(kitchen: Kitchen) -> None:
    """The failure is remembered in a second transaction, which looks anew."""
    kitchen.before_create = raising(LookupError("no such dish"))
    other, begun, here = kitchen.worker(), [], get_ident()

    def compensate_in_between(connection: Connection) -> None:
        if get_ident() == here:
            begun.append(connection)
            if len(begun) == 2:
                in_threads([lambda: other.perform(incoming(REJECT, ASK, UNDO))])

    event.listen(kitchen.engine, "engine_connect", compensate_in_between)
    kitchen.bench.perform(incoming(CREATE, ASK))
    event.remove(kitchen.engine, "engine_connect", compensate_in_between)
    assert other.answers() == [("success", None)]
    assert refused(kitchen.bench.answers()) == ["AlreadyCompensated"]


@pytest.mark.rule(14)
def test_a_compensation_whose_action_was_never_here_runs_unconditionally_and_once(kitchen: Kitchen) -> None:
    undo = incoming(REJECT, ASK, UNDO, unconditional=True)
    for delivered in (undo, undo.again()):
        kitchen.bench.perform(delivered)
    assert kitchen.notes() == ["rejected "]
    assert kitchen.bench.answers() == [("success", None)] * 2


def test_a_failed_compensation_that_nobody_awaits_is_kept_for_the_operator(kitchen: Kitchen) -> None:
    kitchen.bench.perform(incoming(CREATE, ASK, reply_queue=None))
    kitchen.before_reject = raising(LookupError("gone"))
    kitchen.bench.perform(incoming(REJECT, ASK, UNDO, reply_queue=None))
    assert kitchen.bench.answers() == []
    assert kitchen.count(kept_messages) == 1


# ---- bad weather ----------------------------------------------------------------------------------------------------


@pytest.mark.rule(13)
@pytest.mark.postgresql
def test_a_lost_connection_in_a_handler_is_not_answered_but_done_again(postgresql_kitchen: Kitchen) -> None:
    kitchen = postgresql_kitchen
    kitchen.before_create = once(lose_the_connection)
    kitchen.bench.perform(incoming(CREATE, ASK))
    assert kitchen.bench.answers() == [("success", {"ticket_id": 70})]
    assert kitchen.runs == ["create", "create"] and kitchen.notes() == ["created"]


@pytest.mark.rule(13)
@pytest.mark.postgresql
@pytest.mark.parametrize("raises", [True, False], ids=["and raises its own", "and goes on"])
def test_a_lost_connection_that_a_handler_swallows_is_no_refusal_either(
    postgresql_kitchen: Kitchen, raises: bool
) -> None:
    kitchen = postgresql_kitchen

    @once
    def swallow(step: HandlerContext) -> None:
        try:
            lose_the_connection(step)
        except Exception:
            if raises:
                raise LookupError("no such dish") from None

    kitchen.before_create = swallow
    kitchen.bench.perform(incoming(CREATE, ASK))
    assert kitchen.bench.answers() == [("success", {"ticket_id": 70})]
    assert kitchen.notes() == ["created"]


@pytest.mark.rule(13)
@pytest.mark.postgresql
def test_a_deadlock_in_a_handler_is_not_answered_but_done_again(postgresql_kitchen: Kitchen) -> None:
    kitchen = postgresql_kitchen
    insert_two_rows(kitchen.engine)
    others: list[Thread] = []

    @once
    def run_into_it(step: HandlerContext) -> None:
        step.session.execute(text("SET LOCAL deadlock_timeout = '10ms'"))  # the handler is the victim
        step.session.execute(LOCK, {"id": 101})
        holds = Event()

        def cross() -> None:
            with kitchen.engine.begin() as connection:
                connection.execute(text("SET LOCAL deadlock_timeout = '1min'"))
                connection.execute(LOCK, {"id": 102})
                holds.set()
                connection.execute(LOCK, {"id": 101})

        others.append(Thread(target=cross))
        others[0].start()
        assert holds.wait(10)
        until(lambda: somebody_waits(kitchen.engine))
        step.session.execute(LOCK, {"id": 102})

    kitchen.before_create = run_into_it
    kitchen.bench.perform(incoming(CREATE, ASK))
    others[0].join()
    assert kitchen.bench.answers() == [("success", {"ticket_id": 70})]
    assert kitchen.runs == ["create", "create"]


@pytest.mark.rule(13)
@pytest.mark.postgresql
def test_a_deadlock_that_a_handler_swallows_is_no_refusal_either(postgresql_kitchen: Kitchen) -> None:
    kitchen = postgresql_kitchen

    @once
    def swallow(step: HandlerContext) -> None:
        with pytest.raises(DBAPIError):
            meet_a_deadlock(step)

    kitchen.before_create = swallow
    kitchen.bench.perform(incoming(CREATE, ASK))
    assert kitchen.bench.answers() == [("success", {"ticket_id": 70})]
    assert kitchen.runs == ["create", "create"] and kitchen.notes() == ["created"]


# ---- what can never be answered -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["a \x00 in it", "half a pair \ud83d"])
def test_an_error_message_that_no_database_can_hold_is_answered_all_the_same(kitchen: Kitchen, value: str) -> None:
    kitchen.before_create = raising(LookupError(value))
    kitchen.bench.perform(incoming(CREATE, ASK))
    assert refused(kitchen.bench.answers()) == ["LookupError"]


@pytest.mark.postgresql
def test_what_the_database_refuses_at_the_commit_is_answered_as_a_failure(postgresql_kitchen: Kitchen) -> None:
    kitchen = postgresql_kitchen
    refuse_a_note_twice(kitchen.engine)
    kitchen.before_create = lambda step: step.session.add(Note(note="taken"))
    kitchen.bench.perform(incoming(CREATE, ASK))
    assert refused(kitchen.bench.answers()) == ["IntegrityError"]
    assert kitchen.notes() == ["taken"]


def test_an_error_without_words_gives_the_command_back_and_does_not_lose_it(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("sagas_framework.participant.barrier.decide", fail)
    with pytest.raises(Reject) as rejected:
        kitchen.bench.perform(incoming(CREATE, ASK))
    assert rejected.value.requeue


@pytest.mark.parametrize("copy", [Incoming.again, Incoming.asked_again], ids=["redelivered", "asked again"])
@pytest.mark.rule(11)
def test_a_command_that_can_never_be_answered_ends_with_the_operator(
    lone_kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch, copy: Callable[[Incoming], Incoming]
) -> None:
    kitchen = lone_kitchen
    monkeypatch.setattr("sagas_framework.participant.barrier.changes_of", raising(ZeroDivisionError()))
    command, deliveries_until_kept = incoming(CREATE, ASK), 1
    with pytest.raises(Reject):
        kitchen.bench.perform(command)
    while kitchen.count(kept_messages) == 0 and deliveries_until_kept < 10:
        deliveries_until_kept += 1
        try:
            kitchen.bench.perform(copy(command))
        except Reject:
            continue
    assert deliveries_until_kept == 5
    assert kitchen.count(deliveries) == 0
    monkeypatch.undo()
    kitchen.bench.perform(incoming(REJECT, ASK, UNDO))
    assert kitchen.bench.answers() == [("success", None)]  # it never succeeded: so its saga can be rolled back


@pytest.mark.rule(11)
def test_a_redelivered_command_that_is_done_leaves_no_count_behind(kitchen: Kitchen) -> None:
    kitchen.bench.perform(incoming(CREATE, ASK).again())
    assert kitchen.count(deliveries) == 0 and kitchen.count(participant_memory) == 1


@pytest.mark.parametrize("operation", ["commit", "rollback", "close", "reset", "invalidate"])
def test_a_handler_that_tries_to_end_the_transaction_is_refused(kitchen: Kitchen, operation: str) -> None:
    kitchen.before_create = lambda step: getattr(step.session, operation)()
    kitchen.bench.perform(incoming(CREATE, ASK))
    assert refused(kitchen.bench.answers()) == ["SessionIsLent"]
    assert kitchen.notes() == []


@pytest.mark.parametrize("operation", ["commit", "rollback", "close"])
def test_nor_can_it_end_the_transaction_through_the_connection(kitchen: Kitchen, operation: str) -> None:
    kitchen.before_create = lambda step: getattr(step.session.connection(), operation)()
    kitchen.bench.perform(incoming(CREATE, ASK))
    assert refused(kitchen.bench.answers()) == ["SessionIsLent"]
    assert kitchen.notes() == []
