"""What went wrong with fluent sagas elsewhere, and goes right here: on both databases, reply by reply."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from sagas_framework import (
    AsyncStep,
    Command,
    Failure,
    Operations,
    Refusal,
    RetryPolicy,
    Saga,
    SagaBuilder,
    SagaContext,
    StepContext,
    SyncStep,
    child_saga,
    parallel,
    send,
)
from sagas_framework.definition.builder import Chain
from sagas_framework.engine.protocol import Retry
from sagas_framework.errors import NotInContext
from sagas_framework.transport.wire import OutgoingMessage
from tests.support.orchestration import Bench, answer, delivery_of

CREATE = Command("kitchen.create", "kitchen.commands", dict, dict)
REJECT = Command("kitchen.reject", "kitchen.commands", dict)
CHARGE = Command("bank.charge", "bank.commands", dict, dict)
REFUND = Command("bank.refund", "bank.commands", dict)
SHIP = Command("ship.send", "ship.commands", dict)

DECLINED = Failure("Declined", "no money")
CLOSED = Failure("Closed", "not today")
TWICE = RetryPolicy(max_attempts=2, initial_delay_seconds=0.0)
NOBODY_ASKED = "01920000-0000-7000-8000-00000000ffff"


def who(context: SagaContext, step: StepContext) -> dict[str, Any]:
    return {"user": context.user}


def note(what: str) -> Callable[..., None]:
    """A callback that returns nothing, for whatever it is called."""

    def noting(context: SagaContext, *more: Any) -> None:
        context.notes.append(what)

    return noting


def begin() -> Chain[SagaContext]:
    return SagaBuilder("Meal", response_queue="replies", data=SagaContext)


def new() -> SagaContext:
    return SagaContext(user="Ada", notes=[])


class Run:
    """One saga on a database."""

    def __init__(self, engine: Engine, *sagas: type[Saga[Any]]) -> None:
        self.bench = Bench(engine, *sagas)
        self.id = self.bench.started(sagas[0], new())
        self.sent = {message.task: message for message in self.bench.publisher.take()}

    def answer(self, task: str, value: Any = None) -> None:
        self.deliver(self.sent[task], value)

    def deliver(self, command: OutgoingMessage, value: Any = None) -> None:
        self.bench.handle(answer(command, value))
        self._look()

    def exhaust(self, task: str) -> None:
        """The compensation is refused as often as its policy lets it try."""
        self.answer(task, CLOSED)
        self.sent |= {message.task: message for message in self.bench.due_now(self.id)}
        self.answer(task, CLOSED)

    def retry(self) -> None:
        self.bench.act(self.id, Retry(0.0, "mended"))
        self.sent |= {message.task: message for message in self.bench.due_now(self.id)}

    def _look(self) -> None:
        self.sent |= {message.task: message for message in self.bench.publisher.take()}

    @property
    def status(self) -> str:
        return self.bench.status(self.id)

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.bench.row(self.id)["data"]
        return data


# ---- an error reply ------------------------------------------------------------------------------------------------


def test_an_error_reply_fails_the_step_though_nobody_listens_to_errors(engine: Engine) -> None:
    saga = (
        begun_with_a_meal()
        .step("charge")
        .invoke_participant(CHARGE, who)
        .on_reply(note("charged"))
        .step("ship")
        .invoke_participant(SHIP, who)
        .commit(note("done"), on_failure=note("given up"))
    )
    run = Run(engine, saga)
    run.answer("kitchen.create", {})
    run.answer("bank.charge", DECLINED)
    assert run.bench.row(run.id)["failed_step"] == "charge" and "ship.send" not in run.sent
    run.answer("kitchen.reject")
    assert run.status == "failed" and run.data["notes"] == ["created", "given up"]


def test_an_error_reply_fails_the_step_when_somebody_listens_as_well(engine: Engine) -> None:
    run = Run(engine, begin().step("charge").invoke_participant(CHARGE, who).on_error(note("declined")).commit())
    run.answer("bank.charge", DECLINED)
    assert run.status == "failed" and run.data["notes"] == ["declined"]


def test_a_callback_of_a_reply_may_refuse_it_and_the_step_is_undone_too(engine: Engine) -> None:
    def refuse(context: SagaContext, reply: dict[str, Any], step: StepContext) -> None:
        raise Refusal("that table is by the door")

    meal = begin().step("create").invoke_participant(CREATE, who).with_compensation(REJECT, who).on_reply(refuse)
    run = Run(engine, meal.commit())
    run.answer("kitchen.create", {"table": 1})
    assert run.status == "compensating"
    run.answer("kitchen.reject")
    assert run.status == "failed" and "by the door" in run.bench.row(run.id)["failure_details"]["message"]


def begun_with_a_meal() -> Chain[SagaContext]:
    step = begin().step("create").invoke_participant(CREATE, who)
    return step.with_compensation(REJECT, who, retry=TWICE).on_reply(note("created"))


# ---- the rollback ---------------------------------------------------------------------------------------------------


def test_a_rollback_that_fails_is_stored_and_visible_to_everybody_until_it_is_mended(engine: Engine) -> None:
    chain = begun_with_a_meal().step("charge").invoke_participant(CHARGE, who)
    saga = chain.commit(on_compensation_failure=note("the kitchen is closed"), on_failure=note("given up"))
    run = Run(engine, saga)
    run.answer("kitchen.create", {})
    run.answer("bank.charge", DECLINED)
    run.exhaust("kitchen.reject")

    seen = Operations(Bench(engine, saga)).show(run.id)  # by another process, after a restart
    assert seen.status == "needs_attention" and seen.failed_step == "charge"
    (stuck,) = [step for step in seen.steps if step.stuck]
    assert stuck.name == "create" and stuck.failure is not None and stuck.failure["message"] == "not today"
    assert seen.data["notes"] == ["created", "the kitchen is closed"]
    assert [saga.id for saga in Operations(run.bench).list("needs_attention")] == [run.id]

    run.retry()
    run.answer("kitchen.reject")
    assert run.status == "failed" and run.data["notes"][-1] == "given up"


def test_a_failing_compensation_holds_up_no_other_branch_and_the_rollback_says_that_it_is_incomplete(
    engine: Engine,
) -> None:
    meal = AsyncStep("create", CREATE, action=who, compensation=send(REJECT, who, retry=TWICE))
    money = AsyncStep("charge", CHARGE, action=who, compensation=send(REFUND, who))
    table = SyncStep("reserve", action=note("reserved"), compensation=note("released"))
    saga = begin().add(parallel(meal, [table, money])).step("ship").invoke_participant(SHIP, who).commit()
    run = Run(engine, saga)
    run.answer("kitchen.create", {})
    run.answer("bank.charge", {})
    run.answer("ship.send", CLOSED)
    run.exhaust("kitchen.reject")
    run.answer("bank.refund")
    assert run.data["notes"] == ["reserved", "released"], "the other branch is undone to its beginning"
    phases = {step.name: (step.phase, step.stuck) for step in Operations(run.bench).show(run.id).steps}
    assert run.status == "needs_attention"
    assert phases["create"] == ("undoing", True) and phases["charge"] == phases["reserve"] == ("undone", False)


def test_what_a_failing_compensation_depends_on_waits_for_it(engine: Engine) -> None:
    saga = (
        begin()
        .step("reserve")
        .local(note("reserved"))
        .with_compensation(note("released"))
        .step("create")
        .invoke_participant(CREATE, who)
        .with_compensation(REJECT, who, retry=TWICE)
        .step("charge")
        .invoke_participant(CHARGE, who)
        .commit()
    )
    run = Run(engine, saga)
    run.answer("kitchen.create", {})
    run.answer("bank.charge", DECLINED)
    run.exhaust("kitchen.reject")
    assert run.status == "needs_attention" and run.data["notes"] == ["reserved"]
    run.retry()
    run.answer("kitchen.reject")
    assert run.status == "failed" and run.data["notes"] == ["reserved", "released"]


# ---- the context ----------------------------------------------------------------------------------------------------


def full_of_callbacks(callback: Callable[[str], Callable[..., Any]]) -> type[Saga[SagaContext]]:
    return (
        begin()
        .step("reserve")
        .local(callback("reserved"))
        .with_compensation(callback("released"))
        .step("create")
        .invoke_participant(CREATE, who)
        .on_reply(callback("created"))
        .step("charge")
        .invoke_participant(CHARGE, who)
        .on_error(callback("declined"))
        .commit(callback("done"))
    )


def renewing(what: str) -> Callable[..., SagaContext]:
    """A callback that leaves its context alone and returns a new one."""

    def renew(context: SagaContext, *more: Any) -> SagaContext:
        return SagaContext(user=context.user, notes=[*context.notes, what])

    return renew


@pytest.mark.parametrize("callback", [note, renewing])
@pytest.mark.parametrize(
    ("charged", "status", "notes"),
    [
        ({}, "succeeded", ["reserved", "created", "done"]),
        (DECLINED, "failed", ["reserved", "created", "declined", "released"]),
    ],
)
def test_a_callback_keeps_the_context_that_it_returns_nothing_of_and_replaces_it_by_what_it_returns(
    engine: Engine, callback: Callable[[str], Callable[..., Any]], charged: Any, status: str, notes: list[str]
) -> None:
    run = Run(engine, full_of_callbacks(callback))
    run.answer("kitchen.create", {})
    run.answer("bank.charge", charged)
    assert run.status == status and run.data == {"user": "Ada", "notes": notes}


def test_a_saga_may_end_with_another_context_than_it_began_with(engine: Engine) -> None:
    def only_the_meal(context: SagaContext, step: StepContext) -> SagaContext:
        return SagaContext(meal={"of": context.user})

    run = Run(engine, begin().step("reserve").local(note("reserved")).commit(only_the_meal))
    assert run.data == {"meal": {"of": "Ada"}}


def test_a_name_that_the_context_lacks_fails_the_step_and_says_so(engine: Engine) -> None:
    def misspell(context: SagaContext, reply: dict[str, Any], step: StepContext) -> None:
        context.notes.append(context.usre)

    run = Run(engine, begin().step("create").invoke_participant(CREATE, who).on_reply(misspell).commit())
    run.answer("kitchen.create", {})
    failure = run.bench.row(run.id)["failure_details"]
    assert run.status == "failed" and failure["type"] == NotInContext.__name__
    assert failure["message"] == "the saga's context has no 'usre'; it has 'user', 'notes'"
    assert run.data == {"user": "Ada", "notes": []}


def test_a_value_that_json_does_not_know_fails_the_step_that_put_it_there(engine: Engine) -> None:
    def put(context: SagaContext, reply: dict[str, Any], step: StepContext) -> None:
        context.forks = {1, 2}

    run = Run(engine, begin().step("create").invoke_participant(CREATE, who).on_reply(put).commit())
    run.answer("kitchen.create", {})
    assert run.status == "failed" and "forks is {1, 2}" in run.bench.row(run.id)["failure_details"]["message"]
    assert run.data == {"user": "Ada", "notes": []}


def test_a_child_saga_gets_a_context_and_gives_one_back(engine: Engine) -> None:
    def guest(context: SagaContext, step: StepContext) -> SagaContext:
        return SagaContext(user=context.user, notes=["invited"])

    def remember(context: SagaContext, child: SagaContext, step: StepContext) -> None:
        context.notes += child.notes

    child = SagaBuilder("Guest", response_queue="replies", data=SagaContext).step("sit").local(note("seated")).commit()
    run = Run(engine, begin().add(child_saga("guest", child, guest, on_success=remember)).commit(), child)
    (summons,) = run.sent.values()
    run.bench.handle(delivery_of(summons))
    (reply,) = run.bench.publisher.take()
    run.bench.handle(delivery_of(reply))
    assert run.status == "succeeded" and run.data["notes"] == ["invited", "seated"]


# ---- which reply is whose -------------------------------------------------------------------------------------------


def remember(what: str) -> Callable[..., None]:
    def remembering(context: SagaContext, reply: dict[str, Any], step: StepContext) -> None:
        context.notes.append(f"{what} by {reply['by']}")

    return remembering


def test_of_two_replies_to_one_saga_each_finds_the_step_that_asked(engine: Engine) -> None:
    meal = AsyncStep("create", CREATE, action=who, on_success=remember("created"))
    money = AsyncStep("charge", CHARGE, action=who, on_success=remember("charged"))
    run = Run(engine, begin().add(parallel(meal, money)).commit())
    run.answer("bank.charge", {"by": "the bank"})
    assert run.status == "running"
    run.answer("kitchen.create", {"by": "the cook"})
    assert run.status == "succeeded" and run.data["notes"] == ["charged by the bank", "created by the cook"]


def test_a_reply_that_knows_the_saga_but_answers_nothing_it_awaits_changes_nothing(engine: Engine) -> None:
    chain = begin().step("create").invoke_participant(CREATE, who).on_reply(remember("created"))
    run = Run(engine, chain.step("charge").invoke_participant(CHARGE, who).on_reply(remember("charged")).commit())
    create = run.sent["kitchen.create"]
    before = run.bench.row(run.id)

    run.deliver(replace(create, id=NOBODY_ASKED), {"by": "a stranger"})
    run.deliver(replace(create, id=NOBODY_ASKED), DECLINED)
    assert run.bench.row(run.id)["state"] == before["state"] and "bank.charge" not in run.sent

    run.answer("kitchen.create", {"by": "the cook"})
    run.answer("kitchen.create", {"by": "the cook, again"})  # late: the saga awaits the bank by now
    assert run.status == "running" and run.data["notes"] == ["created by the cook"]
    run.answer("bank.charge", {"by": "the bank"})
    assert run.status == "succeeded" and run.data["notes"] == ["created by the cook", "charged by the bank"]


# ---- choices --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("user", "notes"), [("Ada", ["is Ada"]), ("Abe", ["has an A"]), ("Bob", []), ("", ["nobody"])])
def test_the_first_branch_that_fits_is_taken_and_none_is_no_failure(
    engine: Engine, user: str, notes: list[str]
) -> None:
    def branch(what: str) -> type[Saga[SagaContext]]:
        return SagaBuilder(what, data=SagaContext).step(what).local(note(what)).commit()

    saga = (
        begin()
        .choice("who")
        .if_then(lambda context, step: context.user == "Ada", branch("is Ada"))
        .if_then(lambda context, step: context.user.startswith("A"), branch("has an A"))
        .choice("whoever")
        .if_then(lambda context, step: bool(context.user))
        .else_then(branch("nobody"))
        .commit()
    )
    bench = Bench(engine, saga)
    saga_id = bench.started(saga, SagaContext(user=user, notes=[]))
    assert bench.status(saga_id) == "succeeded" and bench.row(saga_id)["data"]["notes"] == notes
