"""Definitions as hypothesis draws them: every kind of step, every form of compensation, any set of hooks."""

from types import new_class
from typing import Any

from hypothesis import strategies as st

from sagas_framework import (
    AsyncStep,
    Command,
    RetryPolicy,
    Saga,
    SyncStep,
    send,
)
from sagas_framework.definition.compiler import compile_saga
from sagas_framework.definition.graph import Definition, Timing
from sagas_framework.definition.steps import StepKind

TIMING = Timing(ask_again_after_seconds=10.0, give_up_after_seconds=100.0)
HOOKS = ("on_saga_success", "on_saga_failure", "on_compensation_failure")
DO, UNDO = Command("do", "commands", dict), Command("undo", "commands", dict)


def nothing(*arguments: Any) -> None:
    """The world decides what user code does; the engine only needs to know that there is some."""


policies = st.builds(
    RetryPolicy,
    max_attempts=st.sampled_from([1, 2, 3, None]),
    initial_delay_seconds=st.sampled_from([0.0, 5.0]),
)
compensations = st.one_of(
    st.none(),
    st.just(nothing),
    st.builds(lambda policy: send(UNDO, nothing, retry=policy), policies),
    st.just(send(UNDO, nothing, awaited=False)),
)


@st.composite
def steps(draw: st.DrawFn, name: str, kind: StepKind) -> SyncStep | AsyncStep:
    compensation = None if kind is StepKind.RETRIABLE else draw(compensations)
    policy = draw(policies)
    form = draw(st.sampled_from(["remote", "remote", "local", "undo only"]))
    if form == "undo only" and kind is StepKind.COMPENSATABLE and compensation is not None:
        return SyncStep(name, compensation=compensation, kind=kind, retry=policy)
    if form != "remote":
        return SyncStep(name, action=nothing, compensation=compensation, kind=kind, retry=policy)
    return AsyncStep(
        name,
        DO,
        action=nothing,
        on_success=draw(st.sampled_from([None, nothing])),
        on_failure=draw(st.sampled_from([None, nothing])),
        compensation=compensation,
        kind=kind,
        retry=policy,
    )


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    kinds = [StepKind.COMPENSATABLE] * draw(st.integers(0, 3))
    kinds += [StepKind.PIVOT] * draw(st.integers(0, 1)) + [StepKind.RETRIABLE] * draw(st.integers(0, 2))
    kinds = kinds or [StepKind.COMPENSATABLE]
    body: dict[str, Any] = {
        "response_queue": "replies",
        "steps": [draw(steps(f"step {number}", kind)) for number, kind in enumerate(kinds)],
        "deadline_seconds": draw(st.sampled_from([None, None, 60.0])),
    }
    for hook in draw(st.sets(st.sampled_from(HOOKS))):
        body[hook] = nothing
    saga: type[Saga[Any]] = new_class(
        "Drawn", (Saga[dict[str, Any]],), exec_body=lambda namespace: namespace.update(body)
    )
    return compile_saga(saga, TIMING)
