"""A definition as the engine reads it: a graph of steps, validated when it is built.

A step is ready when all it comes after are done; compensation walks the same edges backwards. A sequence is the
simplest such graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from enum import StrEnum
from typing import Any, get_type_hints

from sagas_framework.definition.retry import RetryPolicy
from sagas_framework.definition.saga import Saga, data_type_of
from sagas_framework.definition.steps import AsyncStep, Send, Step, StepKind, SyncStep
from sagas_framework.errors import DefinitionError

DEFAULT_ASK_AGAIN_AFTER_SECONDS = 30.0
DEFAULT_GIVE_UP_AFTER_SECONDS = 3600.0
MAX_NAME_CHARACTERS = 120
_HOOKS = ("on_saga_success", "on_saga_failure", "on_compensation_failure")


class Undo(StrEnum):
    """What undoing a step takes."""

    NOTHING = "nothing"
    LOCAL = "local"
    AWAITED = "awaited"
    UNAWAITED = "unawaited"


@dataclass(frozen=True)
class Timing:
    """How long an orchestrator waits where neither the step nor the saga says."""

    ask_again_after_seconds: float = DEFAULT_ASK_AGAIN_AFTER_SECONDS
    give_up_after_seconds: float = DEFAULT_GIVE_UP_AFTER_SECONDS

    def __post_init__(self) -> None:
        for name, seconds in vars(self).items():
            if seconds <= 0:
                raise DefinitionError(f"the orchestrator's {name} must be positive, not {seconds}")


@dataclass(frozen=True)
class Node:
    """One step with its place in the graph, everything that defaults filled in."""

    name: str
    kind: StepKind
    after: tuple[str, ...]
    before: tuple[str, ...]
    remote: bool
    has_action: bool
    undo: Undo
    retry: RetryPolicy
    undo_retry: RetryPolicy
    ask_again_after_seconds: float
    give_up_after_seconds: float
    step: Step

    @property
    def may_give_up(self) -> bool:
        """Whether silence may end the waiting: never where success could then no longer be undone."""
        if self.kind is StepKind.PIVOT:
            return self.undo is not Undo.NOTHING
        return self.kind is StepKind.COMPENSATABLE


@dataclass(frozen=True)
class Definition:
    """A saga as the engine sees it."""

    name: str
    response_queue: str
    nodes: Mapping[str, Node]
    deadline_seconds: float | None
    data_type: type[Any]
    saga: type[Saga[Any]]
    last: tuple[str, ...]  # the steps that no other comes after
    hooks: frozenset[str]  # the hooks that the application has overridden; the others are not worth a call

    @property
    def queues(self) -> frozenset[str]:
        """Every queue that its commands and replies travel through."""
        asked = [part for node in self.nodes.values() for part in (node.step, node.step.compensation)]
        return frozenset(
            {self.response_queue, *(one.command.queue for one in asked if isinstance(one, (AsyncStep, Send)))}
        )


def compile_saga(saga: type[Saga[Any]], timing: Timing = Timing()) -> Definition:
    """The validated graph of a saga class; refuses what cannot work and says why."""
    steps = list(getattr(saga, "steps", ()))
    if not steps:
        raise DefinitionError("it has no steps", saga=saga.name)
    if len(saga.name) > MAX_NAME_CHARACTERS:
        raise DefinitionError(f"its name is longer than {MAX_NAME_CHARACTERS} characters", saga=saga.name)
    if not getattr(saga, "response_queue", None):
        raise DefinitionError("it names no response_queue", saga=saga.name)
    _refuse_bad_times(saga)
    _refuse_bad_names(saga.name, steps)
    _refuse_forgotten_send(saga.name, steps)
    kinds = _kinds_in_order(saga.name, steps)
    nodes: dict[str, Node] = {}
    for position, step in enumerate(steps):
        nodes[step.name] = _node(
            step,
            kinds[position],
            after=(steps[position - 1].name,) if position else (),
            before=(steps[position + 1].name,) if position + 1 < len(steps) else (),
            saga=saga,
            timing=timing,
        )
    return Definition(
        saga.name,
        saga.response_queue,
        nodes,
        saga.deadline_seconds,
        data_type_of(saga),
        saga,
        last=tuple(name for name, node in nodes.items() if not node.before),
        hooks=frozenset(name for name in _HOOKS if getattr(saga, name) is not getattr(Saga, name)),
    )


def _refuse_bad_times(saga: type[Saga[Any]]) -> None:
    for name in ("deadline_seconds", "ask_again_after_seconds", "give_up_after_seconds"):
        seconds = getattr(saga, name)
        if seconds is not None and seconds <= 0:
            raise DefinitionError(f"its {name} must be positive, not {seconds}", saga=saga.name)


def _refuse_forgotten_send(saga: str, steps: Sequence[Step]) -> None:
    """`compensation=ticket_to_reject` looks right, and would build a payload that nobody sends."""
    for step in steps:
        if callable(step.compensation) and is_dataclass(_return_type(step.compensation)):
            raise DefinitionError(
                f"its compensation {getattr(step.compensation, '__name__', '?')} returns a payload; "
                "write compensation=send(command, function) to send it",
                saga=saga,
                step=step.name,
            )


def _return_type(function: Any) -> Any:
    try:
        return get_type_hints(function).get("return")
    except (NameError, TypeError):  # an annotation that cannot be looked up now says nothing
        return None


def _refuse_bad_names(saga: str, steps: Sequence[Any]) -> None:
    seen: set[str] = set()
    for step in steps:
        if not isinstance(step, (SyncStep, AsyncStep)):
            raise DefinitionError(f"{step!r} is not a step; write SyncStep(...) or AsyncStep(...)", saga=saga)
        if step.name in seen:
            problem = "another step has the same name; replies could not be told apart"
            raise DefinitionError(problem, saga=saga, step=step.name)
        if len(step.name) > MAX_NAME_CHARACTERS:
            raise DefinitionError(
                f"its name is longer than {MAX_NAME_CHARACTERS} characters", saga=saga, step=step.name
            )
        seen.add(step.name)


def _kinds_in_order(saga: str, steps: Sequence[Step]) -> list[StepKind]:
    """Compensatable steps, then at most one pivot, then retriable ones; a kind left open follows from the place."""
    kinds: list[StepKind] = []
    decided_by: str | None = None  # the pivot or the first retriable step: what comes after it is never undone
    for step in steps:
        kind = step.kind or (StepKind.RETRIABLE if decided_by else StepKind.COMPENSATABLE)
        if decided_by and kind is not StepKind.RETRIABLE:
            raise DefinitionError(
                f"a {kind.value} step cannot come after {decided_by!r}: nothing is undone from there on. "
                "Move it before, or make it retriable",
                saga=saga,
                step=step.name,
            )
        if kind is StepKind.RETRIABLE and step.compensation is not None:
            raise DefinitionError(
                "a retriable step must not have a compensation: what comes after the pivot is retried and never undone",
                saga=saga,
                step=step.name,
            )
        if kind is not StepKind.COMPENSATABLE and decided_by is None:
            decided_by = step.name
        kinds.append(kind)
    return kinds


def _node(
    step: Step,
    kind: StepKind,
    *,
    after: tuple[str, ...],
    before: tuple[str, ...],
    saga: type[Saga[Any]],
    timing: Timing,
) -> Node:
    ask_again = saga.ask_again_after_seconds or timing.ask_again_after_seconds
    give_up = saga.give_up_after_seconds or timing.give_up_after_seconds
    if isinstance(step, AsyncStep):
        ask_again = step.ask_again_after_seconds or ask_again
        give_up = step.give_up_after_seconds or give_up
    return Node(
        name=step.name,
        kind=kind,
        after=after,
        before=before,
        remote=isinstance(step, AsyncStep),
        has_action=not isinstance(step, SyncStep) or step.action is not None,
        undo=_undo_of(step),
        retry=step.retry,
        undo_retry=step.compensation.retry if isinstance(step.compensation, Send) else step.retry,
        ask_again_after_seconds=ask_again,
        give_up_after_seconds=give_up,
        step=step,
    )


def _undo_of(step: Step) -> Undo:
    if step.compensation is None:
        return Undo.NOTHING
    if isinstance(step.compensation, Send):
        return Undo.AWAITED if step.compensation.awaited else Undo.UNAWAITED
    return Undo.LOCAL
