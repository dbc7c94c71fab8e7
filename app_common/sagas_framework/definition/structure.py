"""How steps are put together: side by side, one or the other, taken from another saga, or a saga as a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

from sagas_framework.definition.retry import RetryPolicy
from sagas_framework.definition.saga import Saga, data_type_of, refuse_unfinished
from sagas_framework.definition.steps import (
    AsyncStep,
    Data,
    Element,
    LocalFunction,
    ReplyFunction,
    Send,
    StepContext,
    StepFunction,
    StepKind,
    send,
)
from sagas_framework.definition.values import refuse_no_function
from sagas_framework.errors import DefinitionError
from sagas_framework.vocabulary.command import Command, Failure
from sagas_framework.vocabulary.names import run_child_task_name, undo_child_task_name

Inner = TypeVar("Inner")  # the data of another saga
Branch = Element[Data] | Sequence[Element[Data]]

OTHERWISE = "otherwise"


@dataclass(frozen=True)
class Parallel(Element[Data]):
    """Branches side by side. Build it with `parallel`."""

    branches: tuple[tuple[Element[Data], ...], ...]
    fail_fast: bool
    name: str | None


@dataclass(frozen=True)
class When(Generic[Data]):
    """One branch of a choice. Build it with `when`."""

    condition: StepFunction[Data, bool]
    steps: tuple[Element[Data], ...]
    label: str


@dataclass(frozen=True)
class Choice(Element[Data]):
    """One branch or another. Build it with `choice`."""

    branches: tuple[When[Data], ...]
    otherwise: tuple[Element[Data], ...]
    name: str | None


@dataclass(frozen=True)
class Include(Element[Data]):
    """The steps of another saga, in this place. Build it with `include`."""

    saga: type[Saga[Any]]
    data: Callable[[Any], Any] | None
    prefix: str


@dataclass(frozen=True)
class ChildStep(AsyncStep[Data, Any, Any]):
    """A step that is a saga of its own. Build it with `child_saga`. `undo` compensates it unless it says otherwise."""

    child: type[Saga[Any]] = Saga
    undo: Send[Any] | None = None


def parallel(*branches: Branch[Data], fail_fast: bool = False, name: str | None = None) -> Parallel[Data]:
    """Branches that run side by side; each is a step or a sequence of steps. What follows waits for all of them.

    When a step fails, the other branches finish before everything is compensated; with `fail_fast` nothing new begins,
    and what is under way is compensated as soon as its answer is there.
    """
    if not branches:
        raise DefinitionError("parallel() without branches", step=name)
    return Parallel(tuple(_sequence(branch) for branch in branches), fail_fast, name)


def when(condition: StepFunction[Data, bool], *steps: Branch[Data], label: str | None = None) -> When[Data]:
    """A branch of a choice: `condition(data, step)` is asked once, and what it said is remembered."""
    refuse_no_function("the condition of when(...), which comes first,", condition, 2)
    own_name = getattr(condition, "__name__", "")
    called = label or (own_name if own_name.isidentifier() else "")
    return When(condition, tuple(element for step in steps for element in _sequence(step)), called)


def choice(*branches: When[Data], otherwise: Branch[Data] = (), name: str | None = None) -> Choice[Data]:
    """The first branch whose condition holds; if none does, `otherwise`, and with no `otherwise` nothing."""
    if not branches or not all(isinstance(branch, When) for branch in branches):
        raise DefinitionError("choice() takes branches that when(...) makes, and at least one", step=name)
    labelled = tuple(
        When(branch.condition, branch.steps, branch.label or f"branch {number}")
        for number, branch in enumerate(branches, 1)
    )
    labels = [branch.label for branch in labelled]
    if len({*labels, OTHERWISE}) <= len(labels):
        problem = (
            f"its branches are called {', '.join(labels)}: one name twice (or {OTHERWISE!r}); say when(..., label=...)"
        )
        raise DefinitionError(problem, step=name)
    return Choice(labelled, _sequence(otherwise), name)


@overload
def include(saga: type[Saga[Inner]], *, prefix: str = "") -> Include[Inner]: ...
@overload
def include(saga: type[Saga[Inner]], *, data: Callable[[Data], Inner], prefix: str = "") -> Include[Data]: ...
def include(saga: type[Saga[Any]], *, data: Callable[[Any], Any] | None = None, prefix: str = "") -> Include[Any]:
    """The steps of another saga in this place, as if they were written here; its hooks and times are left behind.

    `data` picks the part of this saga's data that those steps work on (the same object every time, for they change
    it); `prefix` is put before their names.
    """
    refuse_unfinished(saga)
    if not (isinstance(saga, type) and issubclass(saga, Saga)):
        raise DefinitionError(f"include() takes a saga class, not {saga!r}")
    if data is not None:
        refuse_no_function("the data of include(...)", data, 1)
    return Include(saga, data, prefix)


def child_saga(
    name: str,
    saga: type[Saga[Inner]],
    data: StepFunction[Data, Inner],
    *,
    on_success: ReplyFunction[Data, Inner] | None = None,
    on_failure: ReplyFunction[Data, Failure] | None = None,
    compensation: LocalFunction[Data] | Send[Data] | None = None,
    kind: StepKind | None = None,
    retry: RetryPolicy | None = None,
) -> ChildStep[Data]:
    """A step that is a saga of its own, with its own page, history and end; its end is this step's reply.

    `data(data, step)` returns the child's data; `on_success` is given them as they are at the child's end. Unless
    `compensation` says something else, compensating the step undoes the child: every step of it must then be one that
    can be undone.
    """
    refuse_unfinished(saga)
    if not (isinstance(saga, type) and issubclass(saga, Saga)):
        raise DefinitionError(f"child_saga() takes a saga class, not {saga!r}", step=name)
    data_type = data_type_of(saga)
    run = Command(run_child_task_name(saga.name), saga.response_queue, data_type, data_type)
    undo = Command(undo_child_task_name(saga.name), saga.response_queue, dict)
    return ChildStep(
        name,
        run,
        action=data,
        on_success=on_success,
        on_failure=on_failure,
        compensation=compensation,
        kind=kind,
        retry=retry or RetryPolicy(),
        child=saga,
        undo=send(undo, _what_to_undo),
    )


def _what_to_undo(data: Any, step: StepContext) -> dict[str, Any]:
    return {"attempt": step.undoes}


def _sequence(branch: Branch[Data]) -> tuple[Element[Data], ...]:
    return tuple(branch) if isinstance(branch, Sequence) else (branch,)
