"""Handlers that answer later: the step waits, somebody answers it in a transaction of his own, and nothing is lost
between the two. What is claimed of a handler holds for threads and batches alike, and for the long form.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

import pytest
from celery import Task
from sqlalchemy import Engine, func, insert, select
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from sagas_framework import (
    ANSWER_LATER,
    AnswerLater,
    AnswerRefused,
    Command,
    Failure,
    FailureKind,
    HandlerContext,
    Refusal,
    TransientError,
    handles,
    saga_step_handler,
    step_context,
)
from sagas_framework.errors import ConfigurationError, PayloadRefused
from sagas_framework.storage.database import lent_savepoint
from sagas_framework.storage.schema import kept_messages, participant_memory
from sagas_framework.transport.wire import OutgoingMessage
from sagas_framework.vocabulary.correlation import token_of
from sagas_framework.vocabulary.identity import Direction, message_id
from tests.support.kitchen import AMONG_OTHERS, BATCHES, NEIGHBOURS, THREADS, about_to_wait, raising, refused
from tests.support.participation import (
    NEIGHBOURS_NOTE,
    SAGA_ID,
    BatchBench,
    Incoming,
    ParticipantBench,
    Worker,
    incoming,
    payload_of,
)
from tests.support.sagas import orders

UNDO = Direction.COMPENSATION
ASK = {"order_id": 7}
TOKEN = token_of("orders", SAGA_ID, "create")


@dataclass(frozen=True)
class Ask:
    order_id: int


@dataclass(frozen=True)
class Approval:
    by: str


APPROVE = Command("kitchen.approve", "kitchen.commands", Ask, Approval)
WITHDRAW = Command("kitchen.withdraw", "kitchen.commands", Ask)
YES = Approval("the manager")
APPROVED = ("success", {"by": "the manager"})


class NoTable(Refusal):
    pass


class Restaurant:
    """Its handler leaves the decision to the manager, who sits in the office, which is another process."""

    def __init__(self, engine: Engine, mode: str) -> None:
        self.engine = engine
        self.mode = mode
        self.tokens: list[str] = []
        self.in_withdraw: Callable[[HandlerContext], Any] = lambda step: None
        self.in_approve: Callable[[HandlerContext], Any] = lambda step: ANSWER_LATER

        @handles(APPROVE, database_only=True)
        def approve(ask: Ask, step: HandlerContext) -> Approval | AnswerLater:
            self.tokens.append(step.token)
            step.session.execute(insert(orders).values(note=f"attempt {step.attempt}"))
            given: Approval | AnswerLater = self.in_approve(step)
            return given

        @handles(WITHDRAW, database_only=True)
        def withdraw(ask: Ask, step: HandlerContext) -> AnswerLater | None:
            step.session.execute(insert(orders).values(note=f"withdrawn, reply was {step.reply}"))
            given: AnswerLater | None = self.in_withdraw(step)
            return given

        self.functions = (approve, withdraw)
        self.worker = self.new_worker()
        self.office = ParticipantBench(engine, *self.functions)

    def new_worker(self) -> Worker:
        if self.mode == THREADS:
            return ParticipantBench(self.engine, *self.functions)
        return BatchBench(self.engine, *self.functions, neighbours=NEIGHBOURS if self.mode == AMONG_OTHERS else 0)

    def answer(self, response: Any = YES, token: str = TOKEN) -> None:
        with Session(self.engine) as session, session.begin():
            self.office.participant.answer(token, response, session=session)

    def refuse(self, reason: Exception | Failure, token: str = TOKEN) -> None:
        with Session(self.engine) as session, session.begin():
            self.office.participant.refuse(token, reason, session=session)

    def notes(self) -> list[str]:
        with self.engine.connect() as connection:
            chosen = select(orders.c.note).where(~orders.c.note.startswith(NEIGHBOURS_NOTE)).order_by(orders.c.id)
            return list(connection.scalars(chosen))


@pytest.fixture(params=[THREADS, BATCHES, AMONG_OTHERS])
def restaurant(request: pytest.FixtureRequest, engine: Engine) -> Restaurant:
    return Restaurant(engine, request.param)


@pytest.fixture
def waiting(engine: Engine) -> Restaurant:
    """A restaurant in which one ticket waits for the manager; how it came there no longer matters."""
    restaurant = Restaurant(engine, THREADS)
    restaurant.worker.perform(incoming(APPROVE, ASK))
    assert restaurant.worker.answers() == []
    return restaurant


# ---- the step waits, and is answered --------------------------------------------------------------------------------


@pytest.mark.rule(12)
def test_a_step_that_is_answered_later_gets_its_reply_with_the_callers_commit_and_not_before(
    restaurant: Restaurant,
) -> None:
    command = incoming(APPROVE, ASK)
    restaurant.worker.perform(command)
    assert restaurant.worker.answers() == []
    assert restaurant.notes() == ["attempt 1"], "what the handler wrote is committed"
    (token,) = set(restaurant.tokens)
    with Session(restaurant.engine) as session, session.begin():
        restaurant.office.participant.answer(token, YES, session=session)
        session.execute(insert(orders).values(note="the manager's"))
        assert restaurant.office.publisher.published == []
    (reply,) = restaurant.office.publisher.take()
    assert restaurant.notes() == ["attempt 1", "the manager's"]
    assert (reply.task, reply.queue, reply.parent_id) == ("kitchen.approve.response.success", "replies", command.id)
    assert payload_of(reply) == {"by": "the manager"}
    assert reply.correlation == {
        "orchestrator": "orders", "saga": SAGA_ID, "step": "create", "direction": "action", "attempt": 1,
        "in_reply_to": command.id,
    }  # fmt: skip
    restaurant.worker.perform(command.again())
    assert restaurant.worker.answers() == [APPROVED]
    assert len(restaurant.tokens) == 1


@pytest.mark.rule(12, 13)
@pytest.mark.parametrize(
    ("reason", "type", "kind"),
    [
        (NoTable("we are full"), "NoTable", "refused"),
        (TransientError("ask me tomorrow"), "TransientError", "transient"),
        (KeyError("table"), "KeyError", "error"),
        (Failure("Full", "we are", kind=FailureKind.REFUSED), "Full", "refused"),
    ],
)
def test_a_step_that_is_refused_later_fails_as_if_its_handler_had_raised(
    restaurant: Restaurant, reason: Exception | Failure, type: str, kind: str
) -> None:
    command = incoming(APPROVE, ASK)
    restaurant.worker.perform(command)
    restaurant.refuse(reason)
    (reply,) = restaurant.office.publisher.take()
    assert reply.task == "kitchen.approve.response.failure" and (reply.correlation or {})["failure_kind"] == kind
    assert payload_of(reply).keys() == {"type", "message", "module", "traceback"}
    restaurant.worker.perform(command.again())
    assert refused(restaurant.worker.answers()) == [payload_of(reply)["type"]] == [type]
    assert restaurant.notes() == ["attempt 1"]


@pytest.mark.rule(13)
def test_a_new_attempt_after_a_later_refusal_runs_the_handler_again_which_may_wait_again(
    restaurant: Restaurant,
) -> None:
    restaurant.worker.perform(incoming(APPROVE, ASK))
    restaurant.refuse(TransientError("ask me tomorrow"))
    restaurant.office.publisher.take()
    restaurant.worker.perform(incoming(APPROVE, ASK, attempt=2))
    assert restaurant.worker.answers() == [] and restaurant.notes() == ["attempt 1", "attempt 2"]
    restaurant.answer()
    (reply,) = restaurant.office.publisher.take()
    assert reply.parent_id == message_id("orders", SAGA_ID, "create", Direction.ACTION, 2)


@pytest.mark.rule(12)
def test_while_a_step_waits_no_duplicate_is_answered_or_runs_the_handler_again(restaurant: Restaurant) -> None:
    command = incoming(APPROVE, ASK)
    for copy in (command, command.again(), command.again(redelivered=False), command.asked_again()):
        restaurant.worker.perform(copy)
    assert restaurant.worker.answers() == []
    assert restaurant.notes() == ["attempt 1"]
    restaurant.answer()
    (reply,) = restaurant.office.publisher.take()
    assert payload_of(reply) == {"by": "the manager"}
    assert "again" not in (reply.correlation or {}), "no earlier copy of it can have killed anybody"
    for copy in (command.asked_again(), command.again()):
        restaurant.worker.perform(copy)
    assert restaurant.worker.answers() == [APPROVED] * 2


@pytest.mark.rule(12)
def test_the_newest_attempt_is_the_one_that_is_answered_where_it_wants_to_be(restaurant: Restaurant) -> None:
    for attempt, queue in ((1, "here"), (2, "there"), (1, "here")):
        restaurant.worker.perform(incoming(APPROVE, ASK, attempt=attempt, reply_queue=queue))
    restaurant.answer()
    (reply,) = restaurant.office.publisher.take()
    assert reply.queue == "there" and (reply.correlation or {})["attempt"] == 2
    assert reply.parent_id == message_id("orders", SAGA_ID, "create", Direction.ACTION, 2)
    assert restaurant.notes() == ["attempt 1"]


def test_many_steps_of_a_batch_may_wait_beside_some_that_do_not(engine: Engine) -> None:
    restaurant = Restaurant(engine, BATCHES)
    worker = restaurant.worker
    assert isinstance(worker, BatchBench)
    restaurant.in_approve = lambda step: raising(NoTable("full"))() if step.step == "step 3" else ANSWER_LATER
    commands = [incoming(APPROVE, ASK, step=f"step {number}") for number in range(10)]
    worker.handle(*commands, commands[5].again())
    assert refused(worker.answers()) == ["NoTable"]
    assert restaurant.notes() == ["attempt 1"] * 9
    for number in (5, 7):
        restaurant.answer(token=token_of("orders", SAGA_ID, f"step {number}"))
    assert [reply.parent_id for reply in restaurant.office.publisher.take()] == [commands[5].id, commands[7].id]


@pytest.mark.parametrize("failing", [True, False])
def test_where_nobody_waits_for_an_answer_a_later_one_is_remembered_and_not_sent(
    restaurant: Restaurant, failing: bool
) -> None:
    restaurant.worker.perform(incoming(APPROVE, ASK, reply_queue=None))
    restaurant.refuse(NoTable("full")) if failing else restaurant.answer()
    assert restaurant.office.publisher.take() == []
    with pytest.raises(AnswerRefused, match="answered already"):
        restaurant.answer()


# ---- the transaction is the caller's --------------------------------------------------------------------------------


def test_an_answer_that_its_caller_rolls_back_was_never_given(waiting: Restaurant) -> None:
    with Session(waiting.engine) as session:
        waiting.office.participant.answer(TOKEN, YES, session=session)
        session.rollback()
        session.execute(insert(orders).values(note="something else"))
        session.commit()
    assert waiting.office.answers() == []
    waiting.worker.perform(incoming(APPROVE, ASK).again())
    assert waiting.worker.answers() == []
    waiting.answer(Approval("his deputy"))
    assert waiting.office.answers() == [("success", {"by": "his deputy"})]


def test_a_savepoint_that_is_rolled_back_takes_its_answer_along_and_no_other(waiting: Restaurant) -> None:
    waiting.worker.perform(incoming(APPROVE, ASK, step="another"))
    with Session(waiting.engine) as session, session.begin():
        waiting.office.participant.answer(token_of("orders", SAGA_ID, "another"), YES, session=session)
        with pytest.raises(LookupError), session.begin_nested():
            waiting.office.participant.answer(TOKEN, YES, session=session)
            raise LookupError
        with session.begin_nested():
            waiting.office.participant.refuse(TOKEN, NoTable("full"), session=session)
    assert [outcome for outcome, _ in waiting.office.answers()] == ["success", "failure"]


@pytest.mark.rule(5, 6)
def test_with_the_broker_away_the_answer_is_kept_and_sent_when_the_orchestrator_asks_again(
    waiting: Restaurant,
) -> None:
    waiting.office.publisher.broken = True
    waiting.answer()
    assert waiting.office.answers() == []
    waiting.worker.perform(incoming(APPROVE, ASK).asked_again())
    assert waiting.worker.answers() == [APPROVED]


def test_in_somebody_elses_transaction_nothing_is_sent_until_the_orchestrator_asks_again(waiting: Restaurant) -> None:
    """Its session commits, but the transaction round it may yet be rolled back."""
    for end in ("rollback", "commit"):
        with waiting.engine.connect() as connection:
            outer = connection.begin()
            with Session(connection, join_transaction_mode="create_savepoint") as session:
                waiting.office.participant.answer(TOKEN, YES, session=session)
                session.commit()
            getattr(outer, end)()
        assert waiting.office.answers() == []
    waiting.worker.perform(incoming(APPROVE, ASK).asked_again())
    assert waiting.worker.answers() == [APPROVED]


def test_a_scoped_session_is_as_good_as_its_own(waiting: Restaurant) -> None:
    session = scoped_session(sessionmaker(waiting.engine))
    waiting.office.participant.answer(TOKEN, YES, session=session)
    assert waiting.office.answers() == []
    session.commit()
    session.remove()
    assert waiting.office.answers() == [APPROVED]


def test_the_session_that_another_step_was_lent_is_refused(
    restaurant: Restaurant,
) -> None:
    restaurant.worker.perform(incoming(APPROVE, ASK))
    with Session(restaurant.engine) as session, session.begin(), lent_savepoint(session) as lent:
        with pytest.raises(AnswerRefused, match="another step"):
            restaurant.office.participant.answer(TOKEN, YES, session=lent)
    restaurant.answer()
    assert restaurant.office.answers() == [APPROVED]


# ---- compensated meanwhile ------------------------------------------------------------------------------------------


@pytest.mark.rule(14)
def test_a_step_that_waits_counts_as_done_it_is_compensated_and_then_takes_no_answer(restaurant: Restaurant) -> None:
    restaurant.worker.perform(incoming(APPROVE, ASK))
    undo = incoming(WITHDRAW, ASK, UNDO)
    for copy in (undo, undo.again()):
        restaurant.worker.perform(copy)
    assert restaurant.worker.answers() == [("success", None)] * 2
    with Session(restaurant.engine) as session, session.begin():
        for attempt in (restaurant.office.participant.answer, restaurant.office.participant.refuse):
            with pytest.raises(AnswerRefused, match="compensated meanwhile") as caught:
                attempt(TOKEN, NoTable("full"), session=session)
            assert caught.value.token == TOKEN
        session.execute(insert(orders).values(note="the manager was told"))
    assert restaurant.office.answers() == []
    assert restaurant.notes() == ["attempt 1", "withdrawn, reply was None", "the manager was told"]
    restaurant.worker.perform(incoming(APPROVE, ASK).asked_again())
    assert refused(restaurant.worker.answers()) == ["AlreadyCompensated"]


@pytest.mark.rule(14)
def test_the_compensation_of_a_step_that_was_answered_later_is_given_that_answer(restaurant: Restaurant) -> None:
    restaurant.worker.perform(incoming(APPROVE, ASK))
    restaurant.answer()
    restaurant.worker.perform(incoming(WITHDRAW, ASK, UNDO))
    assert restaurant.notes()[-1] == "withdrawn, reply was {'by': 'the manager'}"


@pytest.mark.rule(14)
def test_a_step_that_was_refused_later_needs_no_compensation(restaurant: Restaurant) -> None:
    restaurant.worker.perform(incoming(APPROVE, ASK))
    restaurant.refuse(NoTable("full"))
    restaurant.worker.perform(incoming(WITHDRAW, ASK, UNDO))
    assert restaurant.worker.answers() == [("success", None)]
    assert restaurant.notes() == ["attempt 1"]


@pytest.mark.rule(12, 14)
def test_a_compensation_that_comes_while_the_manager_answers_waits_and_then_knows_the_answer(
    waiting: Restaurant,
) -> None:
    about = about_to_wait(waiting.engine)
    with Session(waiting.engine) as session:
        waiting.office.participant.answer(TOKEN, YES, session=session)
        undoing = Thread(target=waiting.new_worker().perform, args=(incoming(WITHDRAW, ASK, UNDO),))
        undoing.start()
        about()
        session.commit()
    undoing.join()
    assert waiting.notes()[-1] == "withdrawn, reply was {'by': 'the manager'}"


@pytest.mark.rule(12, 14)
def test_an_answer_that_comes_during_the_compensation_waits_and_is_then_refused(waiting: Restaurant) -> None:
    inside, go_on, said = Event(), Event(), list[str]()

    def wait(step: HandlerContext) -> None:
        inside.set()
        assert go_on.wait(10)

    def answer() -> None:
        with pytest.raises(AnswerRefused) as caught:
            waiting.answer()
        said.append(caught.value.reason)

    waiting.in_withdraw = wait
    undoing = Thread(target=waiting.worker.perform, args=(incoming(WITHDRAW, ASK, UNDO),))
    undoing.start()
    assert inside.wait(10)
    about = about_to_wait(waiting.engine)
    answering = Thread(target=answer)
    answering.start()
    about()
    go_on.set()
    undoing.join()
    answering.join()
    (reason,) = said
    assert "compensated meanwhile" in reason and waiting.office.answers() == []


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["answer", "refuse"])
@pytest.mark.parametrize("second", ["answer", "refuse"])
def test_a_second_answer_is_refused_with_what_was_answered_and_changes_nothing(
    waiting: Restaurant, first: str, second: str
) -> None:
    give: dict[str, Callable[[], None]] = {"answer": waiting.answer, "refuse": lambda: waiting.refuse(NoTable("full"))}
    give[first]()
    with pytest.raises(AnswerRefused) as caught:
        give[second]()
    assert ('{"by":"the manager"}' if first == "answer" else "NoTable: full") in caught.value.reason
    assert len(waiting.office.answers()) == 1


@pytest.mark.parametrize(
    "token",
    ["", "?", "é", "bm9uc2Vuc2U", TOKEN[:-3], token_of("orders", SAGA_ID, "nul \x00"), token_of("orders", "no", "no")],
)
def test_an_unknown_token_is_refused_and_leaves_nothing_behind(waiting: Restaurant, token: str) -> None:
    with Session(waiting.engine) as session, session.begin():
        with pytest.raises(AnswerRefused):
            waiting.office.participant.answer(token, YES, session=session)
        session.execute(insert(orders).values(note="the transaction goes on"))
        assert session.scalar(select(func.count()).select_from(participant_memory)) == 1
    assert waiting.notes()[-1] == "the transaction goes on"


def test_a_step_whose_handler_answered_at_once_takes_no_other_answer(restaurant: Restaurant) -> None:
    restaurant.in_approve = lambda step: YES
    restaurant.worker.perform(incoming(APPROVE, ASK))
    with pytest.raises(AnswerRefused, match="answered already"):
        restaurant.answer()


def test_a_response_that_the_command_does_not_declare_is_refused_and_the_step_waits_on(waiting: Restaurant) -> None:
    wrong: Any = Approval(by=7)  # type: ignore[arg-type]
    with Session(waiting.engine) as session, session.begin():
        with pytest.raises(PayloadRefused, match=r"kitchen\.approve: by"):
            waiting.office.participant.answer(TOKEN, wrong, session=session)
        waiting.office.participant.answer(TOKEN, YES, session=session)
    assert waiting.office.answers() == [APPROVED]


def test_a_process_that_does_not_know_the_command_cannot_answer_it_but_can_refuse(restaurant: Restaurant) -> None:
    """It could not tell a wrong response, which the orchestrator would be sent for ever."""
    restaurant.worker.perform(incoming(APPROVE, ASK))
    knowing, restaurant.office = restaurant.office, ParticipantBench(restaurant.engine)
    with Session(restaurant.engine) as session, session.begin():
        with pytest.raises(ConfigurationError, match=r"does not know the command 'kitchen\.approve'.*handlers="):
            restaurant.office.participant.answer(TOKEN, {"by": 7}, session=session)
        knowing.participant.answer(TOKEN, YES, session=session)
    assert knowing.answers() == [APPROVED]
    restaurant.worker.perform(incoming(APPROVE, ASK, step="another"))
    restaurant.refuse(NoTable("full"), token_of("orders", SAGA_ID, "another"))
    assert refused(restaurant.office.answers()) == ["NoTable"]


def test_without_a_database_no_step_can_wait() -> None:
    @handles(APPROVE)
    def approve(ask: Ask, step: HandlerContext) -> Approval | AnswerLater:
        return ANSWER_LATER

    bench = ParticipantBench(None, approve)
    bench.perform(incoming(APPROVE, ASK))
    ((outcome, failure),) = bench.answers()
    assert (outcome, failure["type"]) == ("failure", "ConfigurationError") and "no database" in failure["message"]
    with pytest.raises(ConfigurationError, match="no database"), Session() as session:
        bench.participant.answer(TOKEN, YES, session=session)


@pytest.mark.rule(14, 16)
def test_a_compensation_cannot_wait_it_fails_and_says_so(restaurant: Restaurant) -> None:
    restaurant.in_approve = lambda step: YES
    restaurant.worker.perform(incoming(APPROVE, ASK))
    restaurant.in_withdraw = lambda step: ANSWER_LATER
    restaurant.worker.perform(incoming(WITHDRAW, ASK, UNDO))
    _, (outcome, failure) = restaurant.worker.answers()
    assert (outcome, failure["type"]) == ("failure", "DefinitionError") and "TransientError" in failure["message"]
    assert restaurant.notes() == ["attempt 1"], "what it wrote is undone"
    restaurant.in_withdraw = lambda step: None
    restaurant.worker.perform(incoming(WITHDRAW, ASK, UNDO, attempt=2))
    assert restaurant.worker.answers() == [("success", None)]


# ---- the long form --------------------------------------------------------------------------------------------------


@saga_step_handler(response_queue="the decorator's")
def approve_in_the_long_form(self: Task, saga_id: Any, payload: dict[str, Any]) -> dict[str, Any] | AnswerLater:
    step = step_context(self)
    step.session.execute(insert(orders).values(note=step.token))
    return ANSWER_LATER


@pytest.mark.parametrize("announced", [True, False], ids=["a command of ours", "a stranger's"])
def test_a_handler_in_the_long_form_may_answer_later_even_a_stranger(engine: Engine, announced: bool) -> None:
    bench = ParticipantBench(engine)
    command = incoming(APPROVE, ASK) if announced else Incoming(APPROVE.name, ASK, None, "a stranger's id", saga_id=7)
    for copy in (command, command.again()):
        approve_in_the_long_form(bench.task(copy), copy.saga_id, copy.payload)
    with Session(engine) as session, session.begin():
        (token,) = session.scalars(select(orders.c.note))
        bench.participant.answer(token, {"by": "the manager"}, session=session)
    reply: OutgoingMessage
    (reply,) = bench.publisher.take()
    assert reply.parent_id == command.id and payload_of(reply) == {"by": "the manager"}
    assert reply.queue == ("replies" if announced else "the decorator's")
    assert (reply.correlation is not None) is announced
    assert reply.body.startswith(f'[["{SAGA_ID}",' if announced else "[[7,")
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(kept_messages)) == 0
