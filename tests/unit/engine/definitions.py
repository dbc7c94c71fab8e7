"""Definitions as hypothesis draws them: every kind of step, every form of compensation, put together in every way, any
set of hooks."""

from collections.abc import Callable
from itertools import count
from types import new_class
from typing import Any

from hypothesis import strategies as st

from sagas_framework import (
    COMPENSATABLE,
    PIVOT,
    RETRIABLE,
    AsyncStep,
    Command,
    RetryPolicy,
    Saga,
    Sleep,
    SyncStep,
    WaitForSignal,
    child_saga,
    choice,
    include,
    parallel,
    send,
    when,
)
from sagas_framework.definition.compiler import compile_saga
from sagas_framework.definition.graph import Definition, Timing
from sagas_framework.definition.steps import StepKind

TIMING = Timing(ask_again_after_seconds=10.0, give_up_after_seconds=100.0)
HOOKS = ("on_saga_success", "on_saga_failure", "on_compensation_failure")
DO, UNDO = Command("do", "commands", dict), Command("undo", "commands", dict)
DEEPEST = 3
MOST_STEPS = 12
FORMS = ("remote", "remote", "remote", "local", "local", "undo only", "unawaited", "signal", "sleep", "child")


def nothing(*arguments: Any) -> Any:
    """The world decides what user code does; the engine only needs to know that there is some."""


def saga_of(*steps: Any, **body: Any) -> type[Saga[Any]]:
    body = {"response_queue": "replies", "steps": steps} | body
    return new_class("Drawn", (Saga[dict[str, Any]],), exec_body=lambda namespace: namespace.update(body))


Child = saga_of(SyncStep("work", action=nothing), name="Child")

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
callbacks = st.sampled_from([None, nothing])


@st.composite
def steps(draw: st.DrawFn, name: str, kind: StepKind) -> Any:
    compensation = None if kind is RETRIABLE else draw(compensations)
    given: dict[str, Any] = {"kind": kind, "retry": draw(policies)}
    form = draw(st.sampled_from(FORMS))
    if form == "sleep":
        return Sleep(name, nothing, **given)
    given["compensation"] = compensation
    if form == "undo only" and kind is COMPENSATABLE and compensation is not None:
        return SyncStep(name, **given)
    if form in ("undo only", "local"):
        return SyncStep(name, action=nothing, **given)
    if form == "signal":
        timeout = draw(st.sampled_from([None, 20.0]))
        return WaitForSignal(name, action=nothing, on_signal=draw(callbacks), timeout_seconds=timeout, **given)
    if form == "unawaited" and kind is not PIVOT:
        return AsyncStep(name, DO, action=nothing, awaited=False, **given)
    given |= {"on_success": draw(callbacks), "on_failure": draw(callbacks)}
    if form == "child":
        return child_saga(name, Child, nothing, **given)
    return AsyncStep(name, DO, action=nothing, **given)


class _Pen:
    """Writes sequences of steps that keep the order of kinds."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self._numbers = count(1)
        self._written = 0

    def sequence(self, kind: StepKind, depth: int, least: int = 0) -> list[Any]:
        most = 3 if self._written < MOST_STEPS else 1
        return [self._element(kind, depth) for _ in range(self._draw(st.integers(least, max(least, most))))]

    def deciding(self, depth: int) -> list[Any]:
        """What can be undone, then the point where the saga's way is decided, then what must succeed."""
        before = self.sequence(COMPENSATABLE, depth)
        form = self._draw(st.sampled_from(["pivot", "pivot", "choice", "only branch", "retriable"]))
        if form == "choice" and depth < DEEPEST:
            decision = self._choice(lambda: self.deciding(depth + 1), COMPENSATABLE, depth)
        elif form == "only branch" and depth < DEEPEST:
            decision = parallel(self.deciding(depth + 1), fail_fast=self._flag(), name=self._name("parallel"))
        elif form == "retriable":  # side by side with choices they would be refused: choosing may fail
            decision = parallel(*(self._step(RETRIABLE) for _ in range(self._draw(st.integers(1, 2)))))
        else:
            decision = self._step(PIVOT)
        return [*before, decision, *self.sequence(RETRIABLE, depth)]

    def _element(self, kind: StepKind, depth: int) -> Any:
        form = self._draw(st.sampled_from(["step", "step", "step", "parallel", "parallel", "choice", "include"]))
        if form == "step" or depth == DEEPEST or self._written >= MOST_STEPS:
            return self._step(kind)
        if form == "parallel":
            branches = [self.sequence(kind, depth + 1, least=1) for _ in range(self._draw(st.integers(2, 3)))]
            return parallel(*branches, fail_fast=self._flag(), name=self._name("parallel"))
        if form == "include":
            return include(saga_of(*self.sequence(kind, depth + 1, least=1)), prefix=f"{self._name('included')}.")
        return self._choice(lambda: self.sequence(kind, depth + 1), kind, depth)

    def _choice(self, first: Callable[[], list[Any]], kind: StepKind, depth: int) -> Any:
        whens = [when(nothing, *first(), label="first way")]
        if self._flag():
            whens.append(when(nothing, *self.sequence(kind, depth + 1), label="second way"))
        otherwise = self.sequence(kind, depth + 1) if self._flag() else ()
        return choice(*whens, otherwise=otherwise, name=self._name("choice"))

    def _step(self, kind: StepKind) -> Any:
        self._written += 1
        return self._draw(steps(self._name("step"), kind))

    def _name(self, what: str) -> str:
        return f"{what} {next(self._numbers)}"

    def _flag(self) -> bool:
        return self._draw(st.booleans())


@st.composite
def definitions(draw: st.DrawFn, *, undoable: bool = False) -> Definition:
    """`undoable`: made of compensatable steps alone."""
    pen = _Pen(draw)
    decides = not undoable and draw(st.booleans())
    written = pen.deciding(0) if decides else pen.sequence(COMPENSATABLE, 0, least=1)
    body: dict[str, Any] = {"deadline_seconds": draw(st.sampled_from([None, None, 60.0]))}
    for hook in draw(st.sets(st.sampled_from(HOOKS))):
        body[hook] = nothing
    return compile_saga(saga_of(*written, **body), TIMING)
