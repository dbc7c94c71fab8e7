"""The fluent form makes the same definitions as the class form, and says what is wrong with one and how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from types import new_class
from typing import Any, assert_type

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas_framework import (
    COMPENSATABLE,
    PIVOT,
    RETRIABLE,
    AsyncStep,
    Command,
    DefinitionError,
    Failure,
    RetryPolicy,
    Saga,
    SagaBuilder,
    SagaContext,
    Sleep,
    StepContext,
    SyncStep,
    WaitForSignal,
    child_saga,
    choice,
    create_orchestrator,
    include,
    parallel,
    send,
    when,
)
from sagas_framework.definition.builder import Chain, StepBuilder
from sagas_framework.definition.compiler import compile_saga
from sagas_framework.definition.graph import Definition
from sagas_framework.errors import (
    AlreadyCommitted,
    AlreadyDefined,
    BranchAfterElse,
    EmptyChoice,
    EmptySaga,
    EmptyStep,
    NamelessStep,
    NoParticipant,
    StepOfAnotherSaga,
    UncommittedSaga,
)


@dataclass
class Order:
    number: int = 0
    ticket: int | None = None


@dataclass(frozen=True)
class Ask:
    number: int


@dataclass(frozen=True)
class Ticket:
    number: int


CREATE = Command("kitchen.create", "kitchen.commands", Ask, Ticket)
REJECT = Command("kitchen.reject", "kitchen.commands", Ask)
NOTE = Command("archive.note", "archive.commands", Ask)
PATIENTLY = RetryPolicy(max_attempts=9)


def reserve(order: Order, step: StepContext) -> None: ...
def release(order: Order, step: StepContext) -> None: ...
def ask(order: Order, step: StepContext) -> Ask:
    return Ask(order.number)


def remember(order: Order, reply: Ticket, step: StepContext) -> Order:
    return replace(order, ticket=reply.number)


def complain(order: Order, failure: Failure, step: StepContext) -> None: ...
def is_large(order: Order, step: StepContext) -> bool:
    return order.number > 100


def is_small(order: Order, step: StepContext) -> bool:
    return order.number < 10


def finish(order: Order, step: StepContext) -> None: ...


def itself(order: Order, step: StepContext) -> Order:
    return order


def mourn(order: Order, failure: Failure, step: StepContext) -> None: ...


def builder(name: str = "Fluent") -> SagaBuilder[Order]:
    return SagaBuilder(name, response_queue="replies", data=Order)


def begun() -> StepBuilder[Order, Any]:
    return builder().step("a")


def assert_same(fluent: type[Saga[Any]], classical: type[Saga[Any]]) -> None:
    one, other = compile_saga(fluent), compile_saga(classical)
    for field in fields(Definition):
        if field.name != "saga":
            assert getattr(one, field.name) == getattr(other, field.name), field.name


# ---- the same definition --------------------------------------------------------------------------------------------


class Small(Saga[Order]):
    response_queue = "replies"
    steps = [SyncStep("small", action=reserve)]


def test_both_forms_make_the_same_definition_field_by_field() -> None:
    class Everything(Saga[Order]):
        name = "Order"
        response_queue = "replies"
        deadline_seconds = 60.0
        ask_again_after_seconds = 5.0
        give_up_after_seconds = 50.0
        steps = [
            SyncStep("reserve", action=reserve, compensation=release),
            AsyncStep(
                "create",
                CREATE,
                action=ask,
                on_success=remember,
                on_failure=complain,
                compensation=send(REJECT, ask, retry=PATIENTLY),
                retry=PATIENTLY,
                ask_again_after_seconds=1.0,
                give_up_after_seconds=2.0,
            ),
            AsyncStep("tell", NOTE, action=ask, awaited=False, compensation=send(REJECT, ask, awaited=False)),
            choice(when(is_small, include(Small)), when(is_large), otherwise=Sleep("think", 1.0), name="size"),
            parallel(SyncStep("left", action=reserve), SyncStep("right", action=reserve), fail_fast=True),
            child_saga("child", Small, data=itself),
            WaitForSignal("approved", timeout_seconds=3600.0),
            AsyncStep("pay", CREATE, action=ask, kind=PIVOT),
            SyncStep("close", action=reserve, kind=RETRIABLE, retry=PATIENTLY),
        ]

        def on_saga_success(self, data: Order, step: StepContext) -> None: ...

        def on_saga_failure(self, data: Order, failure: Failure, step: StepContext) -> None: ...

    fluent = (
        SagaBuilder(
            "Order",
            response_queue="replies",
            data=Order,
            deadline_seconds=60.0,
            ask_again_after_seconds=5.0,
            give_up_after_seconds=50.0,
        )
        .step("reserve")
        .local(reserve)
        .with_compensation(release)
        .step("create", retry=PATIENTLY)
        .invoke_participant(CREATE, ask, ask_again_after_seconds=1.0, give_up_after_seconds=2.0)
        .with_compensation(REJECT, ask, retry=PATIENTLY)
        .on_reply(remember)
        .on_error(complain)
        .step("tell")
        .invoke_participant(NOTE, ask, awaited=False)
        .with_compensation(REJECT, ask, awaited=False)
        .choice("size")
        .if_then(is_small, Small)
        .if_then(is_large)
        .else_then(Sleep("think", 1.0))
        .add(parallel(SyncStep("left", action=reserve), SyncStep("right", action=reserve), fail_fast=True))
        .add(child_saga("child", Small, data=itself), WaitForSignal("approved", timeout_seconds=3600.0))
        .step("pay", kind=PIVOT)
        .invoke_participant(CREATE, ask)
        .step("close", kind=RETRIABLE, retry=PATIENTLY)
        .local(reserve)
        .commit(finish, on_failure=mourn)
    )
    assert_same(fluent, Everything)
    assert fluent().on_saga_success is finish and fluent().on_saga_failure is mourn


@dataclass(frozen=True)
class Written:
    """One thing in both forms."""

    element: Any
    fluently: Callable[[Chain[Order]], Chain[Order]]


def in_both_forms(number: int, kind: Any, compensated: bool, retry: RetryPolicy | None) -> Written:
    name = f"step {number}"
    options: dict[str, Any] = {} if retry is None else {"retry": retry}
    undo: dict[str, Any] = {"compensation": send(REJECT, ask)} if compensated else {}

    def local(chain: Chain[Order]) -> Chain[Order]:
        step = chain.step(name, **options).local(reserve)
        return step.with_compensation(REJECT, ask) if compensated else step

    def remote(chain: Chain[Order]) -> Chain[Order]:
        step = chain.step(name, **options).invoke_participant(CREATE, ask).on_reply(remember)
        return step.with_compensation(REJECT, ask) if compensated else step

    def chosen(chain: Chain[Order]) -> Chain[Order]:
        made = chain.choice(f"choice {number}").if_then(is_small, branch)
        return made.else_then(Sleep(f"sleep {number}", 1.0)) if compensated else made

    def side_by_side(chain: Chain[Order]) -> Chain[Order]:
        return chain.add(parallel(SyncStep(name, action=reserve), Sleep(f"sleep {number}", 1.0)))

    sleep = Sleep(f"sleep {number}", 1.0)
    branch = builder("Branch").step(name, **options).local(reserve).commit()
    return {
        "local": Written(SyncStep(name, action=reserve, **undo, **options), local),
        "remote": Written(AsyncStep(name, CREATE, action=ask, on_success=remember, **undo, **options), remote),
        "choice": Written(
            choice(when(is_small, include(branch)), otherwise=[sleep] * compensated, name=f"choice {number}"), chosen
        ),
        "parallel": Written(parallel(SyncStep(name, action=reserve), sleep), side_by_side),
    }[kind]


things = st.tuples(
    st.sampled_from(["local", "remote", "choice", "parallel"]),
    st.booleans(),
    st.none() | st.builds(RetryPolicy, st.none() | st.integers(1, 9)),
)


@given(st.lists(things, min_size=1, max_size=6), st.none() | st.floats(1, 100), st.sampled_from([finish, None]))
def test_whatever_is_written_both_forms_make_the_same_of_it(
    drawn: list[Any], deadline: float | None, hook: Any
) -> None:
    written = [in_both_forms(number, *thing) for number, thing in enumerate(drawn)]
    body = {
        "response_queue": "replies",
        "deadline_seconds": deadline,
        "steps": [thing.element for thing in written],
        **({} if hook is None else {"on_saga_success": staticmethod(hook)}),
    }
    chain: Chain[Order] = SagaBuilder("Drawn", response_queue="replies", data=Order, deadline_seconds=deadline)
    for thing in written:
        chain = thing.fluently(chain)
    assert_same(chain.commit(hook), new_class("Drawn", (Saga[Order],), exec_body=lambda space: space.update(body)))


def test_a_step_without_a_name_is_called_like_what_it_does() -> None:
    saga = builder().step().invoke_participant(CREATE, ask).step().local(reserve).commit()
    assert list(compile_saga(saga).nodes) == ["create", "reserve"]


def test_a_saga_that_is_only_included_needs_no_response_queue() -> None:
    part = SagaBuilder("Part", data=Order).step("part").local(reserve).commit()
    assert list(compile_saga(builder().add(part).commit()).nodes) == ["part"]
    with pytest.raises(DefinitionError, match="response_queue"):
        compile_saga(part)


def test_a_compensation_may_be_said_to_return_new_data() -> None:
    def release_some(order: Order, step: StepContext) -> Order:
        return replace(order, ticket=None)

    saga = builder().step("a").local(reserve).with_compensation(release_some).commit()
    assert compile_saga(saga).nodes["a"].compensation is release_some


# ---- what is refused ------------------------------------------------------------------------------------------------


def add_a_step_of_another_saga() -> object:
    return builder().add(builder("Other").step("a").local(reserve))  # type: ignore[arg-type]


def go_on_after_commit() -> object:
    chain = begun().local(reserve)
    chain.commit()
    return chain.step("b")


def change_a_step_after_commit() -> object:
    step = begun().local(reserve)
    step.commit()
    return step.with_compensation(release)


def commit_twice() -> object:
    chain = begun().local(reserve)
    chain.commit()
    return chain.commit()


def unfinished() -> Any:
    return begun().local(reserve)


def register_without_commit() -> object:
    return create_orchestrator("shop", broker="memory://", database_url="sqlite://", sagas=[unfinished()])


MALFORMED: list[tuple[Callable[[], object], type[DefinitionError], str]] = [
    (
        lambda: builder().commit(),
        EmptySaga,
        r"write at least one \.step\(\.\.\.\)\.invoke_participant\(\.\.\.\) before",
    ),
    (lambda: begun().commit(), EmptyStep, r"it does nothing; go on with \.invoke_participant"),
    (lambda: begun().step("b").local(reserve).commit(), EmptyStep, "step 'a': it does nothing"),
    (lambda: builder().step().local(lambda *_: None).commit(), NamelessStep, r'say \.step\("name"\)'),
    (lambda: builder().step().with_compensation(release).commit(), NamelessStep, r'say \.step\("name"\)'),
    (lambda: builder().choice("c").commit(), EmptyChoice, r"at least one \.if_then\(condition, Saga\)"),
    (lambda: builder().choice("c").else_then(Small).commit(), EmptyChoice, r"at least one \.if_then"),
    (
        lambda: builder().choice("c").if_then(is_small, Small).else_then(Small).if_then(is_large, Small),
        BranchAfterElse,
        r"write \.else_then\(\.\.\.\) last",
    ),
    (lambda: begun().local(reserve).local(reserve), AlreadyDefined, r"or begin another step with \.step"),
    (lambda: begun().local(reserve).invoke_participant(CREATE, ask), AlreadyDefined, "or begin another step"),
    (lambda: begun().with_compensation(release).with_compensation(release), AlreadyDefined, "drop one of them"),
    (
        lambda: begun().invoke_participant(CREATE, ask).on_reply(remember).on_reply(remember),
        AlreadyDefined,
        r"\.on_reply\(\.\.\.\) stands twice",
    ),
    (
        lambda: begun().invoke_participant(CREATE, ask).on_error(complain).on_error(complain),
        AlreadyDefined,
        r"\.on_error\(\.\.\.\) stands twice",
    ),
    (
        lambda: builder().choice("c").if_then(is_small).else_then(Small).else_then(Small),
        AlreadyDefined,
        "put all of it into one",
    ),
    (lambda: begun().on_reply(remember), NoParticipant, r"call \.invoke_participant\(\.\.\.\) before it"),
    (lambda: begun().local(reserve).on_error(complain), NoParticipant, r"call \.invoke_participant"),
    (add_a_step_of_another_saga, StepOfAnotherSaga, "commit that saga and include it"),
    (go_on_after_commit, AlreadyCommitted, r"write \.commit\(\) last, and once"),
    (change_a_step_after_commit, AlreadyCommitted, r"write \.commit\(\) last, and once"),
    (commit_twice, AlreadyCommitted, r"write \.commit\(\) last, and once"),
    (register_without_commit, UncommittedSaga, r"end the chain with \.commit\(\) and use what it returns"),
    (lambda: compile_saga(unfinished()), UncommittedSaga, r"end the chain with \.commit\(\)"),
    (lambda: include(unfinished()), UncommittedSaga, r"end the chain with \.commit\(\)"),
    (lambda: child_saga("child", unfinished(), data=ask), UncommittedSaga, r"end the chain with \.commit\(\)"),
    (lambda: builder().add(builder("Other")), UncommittedSaga, r"end the chain with \.commit\(\)"),  # type: ignore[arg-type]
    (lambda: begun().invoke_participant("create", ask), DefinitionError, "'create' is no command"),  # type: ignore[arg-type]
    (lambda: begun().with_compensation("reject", ask), DefinitionError, "'reject' is no command"),  # type: ignore[call-overload]
    (lambda: begun().with_compensation(REJECT), DefinitionError, "takes a function, or a command and"),  # type: ignore[call-overload]
    (lambda: AsyncStep("a", "create", action=ask), DefinitionError, "'create' is no command"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("write", "error", "how_to_mend_it"), MALFORMED)
def test_a_malformed_definition_has_an_error_of_its_own_that_says_how_to_mend_it(
    write: Callable[[], object], error: type[DefinitionError], how_to_mend_it: str
) -> None:
    with pytest.raises(DefinitionError, match=how_to_mend_it) as refused:
        write()
    assert type(refused.value) is error


def test_a_refused_commit_can_be_mended_and_tried_again() -> None:
    step = begun()
    with pytest.raises(EmptyStep):
        step.commit()
    assert list(compile_saga(step.local(reserve).commit()).nodes) == ["a"]


def test_an_empty_saga_and_an_empty_step_are_the_same_errors_in_the_class_form() -> None:
    with pytest.raises(EmptyStep):
        SyncStep("a")
    with pytest.raises(EmptySaga):
        compile_saga(new_class("Nothing", (Saga[Order],), exec_body=lambda space: space.update(response_queue="r")))


# ---- what mypy says: it complains of an `ignore` that nothing needs -----------------------------------------------


def of_another_saga(context: SagaContext, step: StepContext) -> None: ...


def test_mypy_checks_the_callbacks_of_a_saga_with_typed_data() -> None:
    step = builder().step("a", kind=COMPENSATABLE)
    assert_type(step.invoke_participant(CREATE, ask), StepBuilder[Order, Ticket])
    assert_type(step.commit(finish), type[Saga[Order]])
    untyped = SagaBuilder("Untyped", response_queue="replies", data=SagaContext)
    assert_type(untyped.step("a").local(of_another_saga).commit(), type[Saga[SagaContext]])

    builder().step("b").local(of_another_saga)  # type: ignore[arg-type]
    builder().step("b").invoke_participant(CREATE, of_another_saga)  # type: ignore[arg-type]
    builder().step("b").with_compensation(of_another_saga)  # type: ignore[arg-type]
    builder().step("b").invoke_participant(CREATE, ask).on_reply(ask)  # type: ignore[arg-type]
    builder().choice("c").if_then(of_another_saga)  # type: ignore[arg-type]
    builder().step("b").local(reserve).commit(of_another_saga)  # type: ignore[arg-type]
