"""The participant's barrier, with real concurrent connections: never both in force, never neither answered."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from threading import Event, Thread, get_ident
from typing import Any

import pytest
from celery import signals
from celery.exceptions import Reject, Retry
from sqlalchemy import Connection, Engine, event, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from sagas_framework import Command, HandlerContext, TransientError, handles
from sagas_framework.storage.schema import deliveries, kept_messages, participant_memory
from sagas_framework.vocabulary.identity import Direction
from tests.support.participation import Incoming, ParticipantBench, incoming
from tests.support.sagas import orders
from tests.support.threads import in_threads, until

UNDO = Direction.COMPENSATION


@dataclass(frozen=True)
class Ask:
    order_id: int


@dataclass(frozen=True)
class Ticket:
    ticket_id: int


CREATE = Command("kitchen.create", "kitchen.commands", Ask, Ticket)
REJECT = Command("kitchen.reject", "kitchen.commands", Ask)
ASK = {"order_id": 7}


class Kitchen:
    """Its handlers write what they do; `before_create` and `before_reject` are a test's own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.before_create: Callable[[HandlerContext], None] = lambda step: None
        self.before_reject: Callable[[HandlerContext], None] = lambda step: None
        self.runs: list[str] = []

        @handles(CREATE, transient=(TimeoutError,))
        def create(ask: Ask, step: HandlerContext) -> Ticket:
            self.runs.append("create")
            step.session.execute(insert(orders).values(note="created"))
            self.before_create(step)
            return Ticket(ask.order_id * 10)

        @handles(REJECT)
        def reject(ask: Ask, step: HandlerContext) -> None:
            self.runs.append("reject")
            self.before_reject(step)
            step.session.execute(
                insert(orders).values(note=f"rejected {step.reply['ticket_id'] if step.reply else ''}")
            )

        self._functions = (create, reject)
        self.bench = self.worker()

    def worker(self) -> ParticipantBench:
        return ParticipantBench(self.engine, *self._functions)

    def notes(self) -> list[str]:
        with self.engine.connect() as connection:
            return list(connection.scalars(select(orders.c.note).order_by(orders.c.id)))

    def count(self, table: Any) -> int:
        with self.engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(table)) or 0


@pytest.fixture
def kitchen(engine: Engine) -> Kitchen:
    return Kitchen(engine)


@pytest.fixture
def postgresql_kitchen(postgresql_engine: Engine) -> Kitchen:
    return Kitchen(postgresql_engine)


@pytest.fixture
def sqlite_kitchen(sqlite_engine: Engine) -> Kitchen:
    return Kitchen(sqlite_engine)


def refused(answers: list[tuple[str, Any]]) -> list[str]:
    return [payload["type"] for outcome, payload in answers if outcome == "failure"]


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
    kitchen.bench.perform(incoming(CREATE, ASK).again())
    assert refused(kitchen.bench.answers()) == ["LookupError", "LookupError"]
    assert kitchen.runs == ["create"] and kitchen.notes() == []
    kitchen.before_create = lambda step: None
    kitchen.bench.perform(incoming(CREATE, ASK, attempt=2))
    assert kitchen.bench.answers() == [("success", {"ticket_id": 70})]


@pytest.mark.rule(13)
@pytest.mark.parametrize(
    ("error", "kind"),
    [(TransientError("later"), "transient"), (TimeoutError("slow"), "transient"), (KeyError(), "refused")],
)
def test_what_a_handler_names_as_transient_is_answered_as_such(kitchen: Kitchen, error: Exception, kind: str) -> None:
    kitchen.before_create = raising(error)
    kitchen.bench.perform(incoming(CREATE, ASK))
    (reply,) = kitchen.bench.publisher.take()
    assert reply.correlation is not None and reply.correlation["failure_kind"] == kind


@pytest.mark.rule(13)
def test_a_failure_is_committed_before_it_is_answered(kitchen: Kitchen) -> None:
    kitchen.before_create = raising(LookupError("no such dish"))
    kitchen.bench.publisher.broken = True
    with pytest.raises(Reject):
        kitchen.bench.perform(incoming(CREATE, ASK))
    kitchen.bench.publisher.broken = False
    kitchen.bench.perform(incoming(CREATE, ASK).again())
    assert refused(kitchen.bench.answers()) == ["LookupError"]
    assert kitchen.runs == ["create"]


def test_a_payload_that_does_not_match_is_answered_as_a_failure_that_names_the_field(kitchen: Kitchen) -> None:
    kitchen.bench.perform(incoming(CREATE, {"order_id": "seven"}))
    ((outcome, failure),) = kitchen.bench.answers()
    assert outcome == "failure" and failure["type"] == "PayloadRefused" and "order_id" in failure["message"]
    assert kitchen.runs == []


def test_a_command_of_somebody_who_knows_nothing_of_us_is_deduplicated_by_its_celery_id(kitchen: Kitchen) -> None:
    for identity in ("a", "a", "b"):
        kitchen.bench.perform(Incoming(CREATE.name, ASK, None, identity))
    assert kitchen.runs == ["create", "create"]


@pytest.mark.rule(13)
def test_celerys_own_retry_passes_through(kitchen: Kitchen) -> None:
    kitchen.before_create = raising(Retry("I know what I do"))
    with pytest.raises(Retry):
        kitchen.bench.perform(incoming(CREATE, ASK))
    assert kitchen.bench.answers() == [] and kitchen.notes() == []


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
    kitchen.before_create = once(
        lambda step: step.session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    )
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
            step.session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
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
    with kitchen.engine.begin() as connection:
        connection.execute(insert(orders), [{"id": 101, "note": "a"}, {"id": 102, "note": "b"}])
    lock = text("SELECT 1 FROM app_order WHERE id = :id FOR UPDATE")
    others: list[Thread] = []

    @once
    def run_into_it(step: HandlerContext) -> None:
        step.session.execute(text("SET LOCAL deadlock_timeout = '10ms'"))  # the handler is the victim
        step.session.execute(lock, {"id": 101})
        holds = Event()

        def cross() -> None:
            with kitchen.engine.begin() as connection:
                connection.execute(text("SET LOCAL deadlock_timeout = '1min'"))
                connection.execute(lock, {"id": 102})
                holds.set()
                connection.execute(lock, {"id": 101})

        others.append(Thread(target=cross))
        others[0].start()
        assert holds.wait(10)
        until(lambda: somebody_waits(kitchen.engine))
        step.session.execute(lock, {"id": 102})

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
            step.session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'as it happens' USING ERRCODE = '40P01'; END $$"))

    kitchen.before_create = swallow
    kitchen.bench.perform(incoming(CREATE, ASK))
    assert kitchen.bench.answers() == [("success", {"ticket_id": 70})]
    assert kitchen.runs == ["create", "create"] and kitchen.notes() == ["created"]


@pytest.mark.rule(13)
def test_a_locked_database_is_waited_for(sqlite_kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    kitchen = sqlite_kitchen
    event.listen(kitchen.engine, "connect", lambda raw, record: raw.execute("PRAGMA busy_timeout = 1"))
    kitchen.engine.dispose()
    holder = kitchen.engine.connect()
    transaction = holder.begin()
    monkeypatch.setattr("sagas_framework.participant.participant.time.sleep", lambda seconds: transaction.rollback())
    kitchen.bench.perform(incoming(CREATE, ASK))
    holder.close()
    assert kitchen.bench.answers() == [("success", {"ticket_id": 70})]


# ---- what can never be answered -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["a \x00 in it", "half a pair \ud83d"])
def test_an_error_message_that_no_database_can_hold_is_answered_all_the_same(kitchen: Kitchen, value: str) -> None:
    kitchen.before_create = raising(LookupError(value))
    kitchen.bench.perform(incoming(CREATE, ASK))
    assert refused(kitchen.bench.answers()) == ["LookupError"]


@pytest.mark.postgresql
def test_what_the_database_refuses_at_the_commit_is_answered_as_a_failure(postgresql_kitchen: Kitchen) -> None:
    kitchen = postgresql_kitchen
    with kitchen.engine.begin() as connection:
        connection.execute(
            text("ALTER TABLE app_order ADD CONSTRAINT one_note UNIQUE (note) DEFERRABLE INITIALLY DEFERRED")
        )
        connection.execute(insert(orders).values(note="created"))
    kitchen.bench.perform(incoming(CREATE, ASK))
    assert refused(kitchen.bench.answers()) == ["IntegrityError"]
    assert kitchen.notes() == ["created"]


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
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch, copy: Callable[[Incoming], Incoming]
) -> None:
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


@pytest.mark.parametrize("operation", ["commit", "rollback", "close"])
def test_a_handler_that_tries_to_end_the_transaction_is_refused(kitchen: Kitchen, operation: str) -> None:
    kitchen.before_create = lambda step: getattr(step.session, operation)()
    kitchen.bench.perform(incoming(CREATE, ASK))
    assert refused(kitchen.bench.answers()) == ["SessionIsLent"]
    assert kitchen.notes() == []


def test_without_a_database_a_handler_answers_and_a_duplicate_runs_it_twice() -> None:
    runs = []

    @handles(CREATE)
    def create(ask: Ask, step: HandlerContext) -> Ticket:
        runs.append(ask.order_id)
        return Ticket(1)

    bench = ParticipantBench(None, create)
    bench.perform(incoming(CREATE, ASK))
    bench.perform(incoming(CREATE, ASK).again())
    assert bench.answers() == [("success", {"ticket_id": 1})] * 2 and runs == [7, 7]


# ---- side by side, and alone ----------------------------------------------------------------------------------------


class Slow:
    """A handler that is held inside until it is let go."""

    def __init__(self) -> None:
        self.inside, self.go_on = Event(), Event()

    def __call__(self, step: HandlerContext) -> None:
        self.inside.set()
        assert self.go_on.wait(10)


def begun(kitchen: Kitchen, *commands: Incoming) -> list[Thread]:
    threads = [Thread(target=kitchen.bench.perform, args=(command,)) for command in commands]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.rule(12)
def test_a_duplicate_of_a_command_that_this_process_is_doing_is_let_go_without_an_answer(kitchen: Kitchen) -> None:
    slow = kitchen.before_create = Slow()
    running = begun(kitchen, incoming(CREATE, ASK))
    assert slow.inside.wait(10)
    asked_again = begun(kitchen, incoming(CREATE, ASK))
    for thread in asked_again:
        thread.join(5)
    assert not any(thread.is_alive() for thread in asked_again)
    assert kitchen.bench.answers() == []
    slow.go_on.set()
    for thread in running:
        thread.join()
    assert kitchen.bench.answers() == [("success", {"ticket_id": 70})]
    assert kitchen.runs == ["create"]


@pytest.mark.rule(12)
@pytest.mark.postgresql
def test_a_command_redelivered_while_it_is_done_waits_alone_of_its_kind_and_shuts_out_no_other(
    postgresql_kitchen: Kitchen,
) -> None:
    """Its first delivery's connection may be lost: were it let go, nobody would hold the command any more."""
    kitchen = postgresql_kitchen
    slow = Slow()
    kitchen.before_create = lambda step: slow(step) if step.step == "create" else None
    command = incoming(CREATE, ASK)
    running = begun(kitchen, command)
    assert slow.inside.wait(10)
    redelivered = begun(kitchen, command.again(), command.again(), command.again())
    until(lambda: sum(thread.is_alive() for thread in redelivered) == 1)
    others = begun(kitchen, incoming(CREATE, ASK, step="another"))
    others[0].join(5)
    assert not others[0].is_alive()
    slow.go_on.set()
    for thread in running + redelivered:
        thread.join()
    assert kitchen.bench.answers() == [("success", {"ticket_id": 70})] * 3
    assert kitchen.runs == ["create", "create"] and kitchen.count(deliveries) == 0


@pytest.mark.rule(13)
def test_what_celerys_retry_has_sent_is_no_duplicate_of_the_handler_that_has_not_yet_returned(
    kitchen: Kitchen,
) -> None:
    slow = Slow()

    @once
    def retry(step: HandlerContext) -> None:
        slow(step)
        raise LookupError("not yet")

    kitchen.before_create = retry
    running = begun(kitchen, incoming(CREATE, ASK))
    assert slow.inside.wait(10)
    waiting = about_to_wait(kitchen.engine)
    retried = begun(kitchen, replace(incoming(CREATE, ASK), retries=1))
    waiting()
    slow.go_on.set()
    for thread in running + retried:
        thread.join()
    assert len(kitchen.bench.answers()) == 2


@pytest.mark.rule(11)
@pytest.mark.postgresql
@pytest.mark.parametrize(("begun_before", "together"), [(0, True), (1, False), (2, False)])
def test_a_command_runs_beside_others_on_its_second_delivery_and_alone_from_its_third(
    postgresql_kitchen: Kitchen, begun_before: int, together: bool
) -> None:
    kitchen = postgresql_kitchen
    slow = Slow()
    kitchen.before_create = lambda step: slow(step) if step.step == "create" else None
    suspect = incoming(CREATE, ASK, step="suspect").again()
    set_count(kitchen.engine, suspect, begun_before)
    threads = begun(kitchen, incoming(CREATE, ASK))
    assert slow.inside.wait(10)
    threads += begun(kitchen, suspect)
    gate = kitchen.bench.participant._gate
    until(lambda: kitchen.runs == ["create", "create"] or gate._waiting_to_be_alone == 1)
    assert (len(kitchen.runs) == 2) is together
    slow.go_on.set()
    for thread in threads:
        thread.join()
    assert len(kitchen.bench.answers()) == 2 and kitchen.count(deliveries) == 0


@pytest.mark.rule(11)
@pytest.mark.postgresql
def test_a_suspect_that_waits_for_its_turn_is_not_counted_with_the_one_that_runs(
    postgresql_kitchen: Kitchen,
) -> None:
    """What kills the process now is none of its doing."""
    kitchen = postgresql_kitchen
    slow = Slow()
    kitchen.before_create = lambda step: slow(step) if step.step == "poison" else None
    poison, innocent = (incoming(CREATE, ASK, step=step).again() for step in ("poison", "innocent"))
    for command in (poison, innocent):
        set_count(kitchen.engine, command, 1)
    threads = begun(kitchen, poison)
    assert slow.inside.wait(10)
    threads += begun(kitchen, innocent)
    until(lambda: kitchen.bench.participant._gate._waiting_to_be_alone == 1)
    assert counts(kitchen.engine) == {poison.id: 2, innocent.id: 1}
    slow.go_on.set()
    for thread in threads:
        thread.join()


# ---- backing off ----------------------------------------------------------------------------------------------------


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, without waiting for them."""
    slices: list[float] = []
    monkeypatch.setattr("sagas_framework.participant.back_off.time.sleep", slices.append)
    return slices


def test_a_participant_pauses_longer_and_longer_before_it_gives_back_what_it_cannot_answer(
    kitchen: Kitchen, paused: list[float]
) -> None:
    def pause_of(command: Incoming) -> float:
        paused.clear()
        with pytest.raises(Reject):
            kitchen.bench.perform(command)
        return round(sum(paused), 3)

    kitchen.bench.publisher.broken = True
    command = incoming(CREATE, ASK)
    assert [pause_of(command.again()) for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    kitchen.bench.publisher.broken = False
    kitchen.bench.perform(command.again())
    kitchen.bench.publisher.broken = True
    assert pause_of(command.again()) == 0.1


def test_others_are_done_while_a_command_waits_to_be_given_back(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(seconds: float) -> None:
        kitchen.bench.publisher.broken = False
        in_threads([lambda: kitchen.bench.perform(incoming(CREATE, ASK, step="another"))])

    suspect = incoming(CREATE, ASK).again()
    set_count(kitchen.engine, suspect, 1)
    kitchen.bench.publisher.broken = True
    monkeypatch.setattr("sagas_framework.participant.back_off.time.sleep", meanwhile)
    with pytest.raises(Reject):
        kitchen.bench.perform(suspect)
    assert kitchen.bench.answers() == [("success", {"ticket_id": 70})]


def test_a_worker_that_is_told_to_stop_does_not_wait_on(
    kitchen: Kitchen, paused: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def told_to_stop(seconds: float) -> None:
        paused.append(seconds)
        signals.worker_shutting_down.send(sender="kitchen@here")

    kitchen.bench.publisher.broken = True
    for _ in range(5):
        with pytest.raises(Reject):
            kitchen.bench.perform(incoming(CREATE, ASK))
    paused.clear()
    monkeypatch.setattr("sagas_framework.participant.back_off.time.sleep", told_to_stop)
    for _ in range(2):
        with pytest.raises(Reject):
            kitchen.bench.perform(incoming(CREATE, ASK))
    assert len(paused) == 1


# ---- small tools ----------------------------------------------------------------------------------------------------


def set_count(engine: Engine, command: Incoming, begun: int) -> None:
    if begun:
        with engine.begin() as connection:
            connection.execute(insert(deliveries).values(message_id=command.id, begun=begun, last_at=0.0))


def counts(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {row.message_id: row.begun for row in connection.execute(select(deliveries))}


def raising(error: Exception) -> Callable[..., None]:
    def fail(*arguments: Any) -> None:
        raise error

    return fail


def once(work: Callable[[HandlerContext], Any]) -> Callable[[HandlerContext], None]:
    runs: list[HandlerContext] = []

    def guarded(step: HandlerContext) -> None:
        runs.append(step)
        if len(runs) == 1:
            work(step)

    return guarded


def somebody_waits(engine: Engine) -> bool:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with engine.connect() as connection:
        return bool(connection.scalar(waiting))


def about_to_wait(engine: Engine) -> Callable[[], None]:
    """What to call once another thread is to be held up by a lock: returns when it is."""
    if engine.dialect.name == "postgresql":
        return lambda: until(lambda: somebody_waits(engine))
    begins = Event()
    event.listen(engine, "engine_connect", lambda connection: begins.set())
    return lambda: None if begins.wait(10) else pytest.fail("nobody began")
