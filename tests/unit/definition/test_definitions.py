"""A definition that cannot work is refused when it is built, saying which step and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import new_class
from typing import Any

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
    RetryPolicy,
    Saga,
    SyncStep,
    send,
)
from sagas_framework.definition.compiler import compile_saga
from sagas_framework.definition.graph import Timing, Undo
from sagas_framework.definition.steps import StepKind

DO, UNDO = Command("do", "q", dict), Command("undo", "q", dict)


@dataclass
class Data:
    number: int = 0


@dataclass(frozen=True)
class Payload:
    """What only a message carries."""


def work(*arguments: Any) -> Any:
    """What a step does."""


def saga_of(*steps: Any, data: Any = Data, **body: Any) -> type[Saga[Any]]:
    namespace = {"response_queue": "replies", "steps": steps} | body
    return new_class("Drawn", (Saga[data],), exec_body=lambda space: space.update(namespace))


def remote(name: str, kind: StepKind | None = None, **more: Any) -> AsyncStep:
    return AsyncStep(name, DO, action=work, kind=kind, **more)


def local(name: str, kind: StepKind | None = None, **more: Any) -> SyncStep:
    return SyncStep(name, action=work, kind=kind, **more)


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.rule(17)
@pytest.mark.parametrize(
    ("steps", "step", "why"),
    [
        ([remote("a", PIVOT), remote("b", COMPENSATABLE)], "b", "cannot come after 'a'"),
        ([remote("a", RETRIABLE), remote("b", COMPENSATABLE)], "b", "cannot come after 'a'"),
        ([remote("a", PIVOT), remote("b", PIVOT)], "b", "a pivot step cannot come after 'a'"),
        ([remote("a", RETRIABLE), remote("b", PIVOT)], "b", "a pivot step cannot come after 'a'"),
        ([remote("a", RETRIABLE, compensation=work)], "a", "must not have a compensation"),
        ([remote("a", PIVOT), remote("b", compensation=work)], "b", "must not have a compensation"),
        ([remote("a"), local("a")], "a", "another step has the same name"),
        ([remote("x" * 121)], "x" * 121, "longer than 120"),
    ],
)
def test_steps_in_an_order_that_cannot_be_kept_are_refused(steps: Sequence[Any], step: str, why: str) -> None:
    with pytest.raises(DefinitionError, match=why) as refused:
        compile_saga(saga_of(*steps))
    assert refused.value.step == step and refused.value.saga == "Drawn"


@pytest.mark.parametrize(
    ("saga", "why"),
    [
        (saga_of(), "no steps"),
        (saga_of(local("a"), response_queue=""), "no response_queue"),
        (saga_of(local("a"), name="x" * 121), "longer than 120"),
        (saga_of(local("a"), data=int), "a dataclass, dict or SagaContext"),
        (saga_of("a step"), "not a step"),
        (saga_of(local("a"), deadline_seconds=0), "deadline_seconds"),
        (saga_of(local("a"), ask_again_after_seconds=-1.0), "ask_again_after_seconds"),
        (saga_of(local("a"), give_up_after_seconds=0.0), "give_up_after_seconds"),
    ],
)
def test_a_saga_that_cannot_run_is_refused(saga: type[Saga[Any]], why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        compile_saga(saga)


def test_a_saga_that_does_not_say_what_its_data_is_is_refused() -> None:
    class Untyped(Saga):  # type: ignore[type-arg]
        response_queue = "replies"
        steps = (local("a"),)

    with pytest.raises(DefinitionError, match="what its data is"):
        compile_saga(Untyped)


@pytest.mark.parametrize(
    "build",
    [
        lambda: SyncStep("", action=work),
        lambda: SyncStep("a"),
        lambda: AsyncStep("", DO, action=work),
        lambda: remote("a", ask_again_after_seconds=0),
        lambda: remote("a", give_up_after_seconds=-1),
        lambda: RetryPolicy(max_attempts=0),
        lambda: RetryPolicy(initial_delay_seconds=-1),
        lambda: RetryPolicy(factor=0.5),
        lambda: RetryPolicy(max_delay_seconds=-1),
    ],
)
def test_a_step_or_policy_that_cannot_work_is_refused_where_it_is_written(build: Any) -> None:
    with pytest.raises(DefinitionError):
        build()


async def later(*arguments: Any) -> None:
    """Nobody would await it."""


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (lambda: remote("a", kind="pivot"), "kind must be COMPENSATABLE, PIVOT or RETRIABLE, not 'pivot'"),  # type: ignore[arg-type]
        (lambda: remote("a", retry=5), "retry must be a RetryPolicy, not 5"),
        (lambda: remote("a", compensation=UNDO), r"write compensation=send\(command, function of its payload\)"),
        (lambda: remote("a", compensation="undo"), "its compensation must be a function, not 'undo'"),
        (lambda: remote("a", on_success=lambda data, step: None), "on_success .* is called with 3 arguments"),
        (lambda: remote("a", on_failure="tell"), "its on_failure must be a function"),
        (lambda: AsyncStep("a", DO, action=None), "its action must be a function, not None"),  # type: ignore[arg-type]
        (lambda: SyncStep("a", action=later), "its action later is a coroutine function"),
        (lambda: send(UNDO, {"number": 1}), "the payload of send"),  # type: ignore[arg-type]
        (lambda: RetryPolicy(max_delay_seconds=float("nan")), "finite numbers"),
        (lambda: RetryPolicy(max_attempts=2.5), "max_attempts is 2.5"),  # type: ignore[arg-type]
        (lambda: Timing(give_up_after_seconds=float("nan")), "the orchestrator's give_up_after_seconds must be a pos"),
        (
            lambda: compile_saga(saga_of(local("a"), deadline_seconds=float("nan"))),
            "its deadline_seconds must be a",
        ),
        (lambda: compile_saga(saga_of(local("a"), steps=iter([local("a")]))), "steps must be a list or a tuple"),
        (lambda: compile_saga(saga_of(local("a"), steps=local("a"))), "steps must be a list or a tuple"),
        (lambda: compile_saga(saga_of(local("a\x00"))), "a step's name must be a line of text"),
        (lambda: compile_saga(saga_of(local("a\ud800"))), "a step's name must be a line of text"),
        (lambda: compile_saga(saga_of(local("a"), name=" ")), "its name must be a line of text"),
        (lambda: compile_saga(saga_of(local("a"), response_queue=7)), "its response_queue must be a line of text"),
        (lambda: compile_saga(saga_of(remote("a", PIVOT, awaited=False))), "it is the pivot, and nobody awaits it"),
    ],
)
def test_what_could_not_run_is_refused_before_it_runs(build: Any, why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        build()


# ---- what follows from the place ------------------------------------------------------------------------------------


def test_a_kind_left_open_follows_from_the_place() -> None:
    nodes = compile_saga(saga_of(local("a"), remote("b"), remote("c", PIVOT), remote("d"), local("e"))).nodes
    assert [node.kind for node in nodes.values()] == [COMPENSATABLE, COMPENSATABLE, PIVOT, RETRIABLE, RETRIABLE]
    assert [(node.after, node.before) for node in nodes.values()][1:3] == [(("a",), ("c",)), (("b",), ("d",))]


@pytest.mark.parametrize(
    ("compensation", "undo"),
    [
        (None, Undo.NOTHING),
        (work, Undo.LOCAL),
        (send(UNDO, work), Undo.AWAITED),
        (send(UNDO, work, awaited=False), Undo.UNAWAITED),
    ],
)
@pytest.mark.rule(6, 17)
def test_silence_ends_the_waiting_only_where_success_could_be_undone_or_does_not_matter(
    compensation: Any, undo: Undo
) -> None:
    saga = saga_of(remote("a", compensation=compensation), remote("b", PIVOT, compensation=compensation), remote("c"))
    nodes = compile_saga(saga).nodes
    assert nodes["a"].undo is undo
    assert [nodes[name].may_give_up for name in "abc"] == [True, undo is not Undo.NOTHING, False]


def test_a_steps_own_times_win_over_its_sagas_and_these_over_the_orchestrators() -> None:
    saga = saga_of(remote("a", ask_again_after_seconds=1.0), remote("b"), give_up_after_seconds=20.0)
    nodes = compile_saga(saga, Timing(3.0, 30.0)).nodes
    assert [(n.ask_again_after_seconds, n.give_up_after_seconds) for n in nodes.values()] == [(1.0, 20.0), (3.0, 20.0)]


def test_only_hooks_that_are_written_are_called() -> None:
    assert compile_saga(saga_of(local("a"))).hooks == frozenset()
    assert compile_saga(saga_of(local("a"), on_saga_success=work)).hooks == {"on_saga_success"}


def test_a_dictionary_may_be_the_data_with_or_without_what_is_in_it() -> None:
    assert compile_saga(saga_of(local("a"), data=dict)).data_type is dict
    assert compile_saga(saga_of(local("a"), data=dict[str, Any])).data_type is dict


# ---- retry policies -------------------------------------------------------------------------------------------------

policies = st.builds(
    RetryPolicy,
    st.none() | st.integers(1, 50),
    st.floats(0, 1e4),
    st.floats(1, 1e3),
    st.floats(0, 1e5),
)


@given(policies, st.integers(1, 10**6))
def test_delays_grow_up_to_their_limit_and_never_overflow(policy: RetryPolicy, attempts: int) -> None:
    delay, later = policy.delay_seconds_after(attempts), policy.delay_seconds_after(attempts + 1)
    assert 0 <= delay <= later <= policy.max_delay_seconds


@given(policies)
def test_a_policy_allows_as_many_attempts_as_it_says(policy: RetryPolicy) -> None:
    if policy.max_attempts is None:
        assert policy.allows_another_after(10**9)
    else:
        allowed = [policy.allows_another_after(attempts) for attempts in range(1, policy.max_attempts + 2)]
        assert allowed == [True] * (policy.max_attempts - 1) + [False] * 2


def test_a_compensation_that_builds_a_payload_nobody_would_send_is_refused() -> None:
    def payload_to_undo(data: Data, step: object) -> Payload:
        return Payload()

    steps = [SyncStep("reserve", action=lambda data, step: None, compensation=payload_to_undo)]  # type: ignore[misc]
    with pytest.raises(DefinitionError, match=r"write compensation=send\(command, function\)"):
        compile_saga(saga_of(*steps))
