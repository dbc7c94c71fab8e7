"""A definition as the engine reads it: a graph of steps.

A step is ready when all it comes after are done; compensation walks the same edges backwards. A sequence is the
simplest such graph. Where branches part and meet again stand nodes of their own: a choice, which remembers what was
chosen, and joins, which do nothing but keep the number of edges small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from sagas_framework.definition.retry import RetryPolicy
from sagas_framework.definition.saga import Saga
from sagas_framework.definition.steps import AsyncStep, Send, Step, StepKind, WaitForSignal
from sagas_framework.definition.structure import ChildStep, Choice
from sagas_framework.definition.values import refuse_no_seconds
from sagas_framework.vocabulary.command import AnyCommand

DEFAULT_ASK_AGAIN_AFTER_SECONDS = 30.0
DEFAULT_GIVE_UP_AFTER_SECONDS = 3600.0


class Work(StrEnum):
    """What doing a step takes."""

    NOTHING = "nothing"  # a join, or a step that only compensates
    LOCAL = "local"
    COMMAND = "command"  # awaited
    DISPATCH = "dispatch"  # a command that nobody awaits
    CHOICE = "choice"
    SIGNAL = "signal"
    SLEEP = "sleep"


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
            refuse_no_seconds(f"the orchestrator's {name}", seconds)


@dataclass(frozen=True)
class Place:
    """In which branch of a parallel a node stands."""

    parallel: str
    branch: int
    fail_fast: bool


@dataclass(frozen=True)
class Node:
    """One step with its place in the graph, everything that defaults filled in.

    `step` is what was declared: None for a join, the choice itself for a choice. `branches` says, for a choice, which
    nodes stand in which branch. `view` picks the part of the saga's data that an included step works on.
    """

    name: str
    kind: StepKind
    work: Work
    undo: Undo = Undo.NOTHING
    after: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    step: Step | Choice | None = None
    branches: Mapping[str, tuple[str, ...]] | None = None
    view: Callable[[Any], Any] | None = None
    calls_back: bool = False  # there is a function for the reply or the signal
    tells_failure: bool = False  # there is a function for the failure
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    undo_retry: RetryPolicy = field(default_factory=RetryPolicy)
    ask_again_after_seconds: float = DEFAULT_ASK_AGAIN_AFTER_SECONDS
    give_up_after_seconds: float = DEFAULT_GIVE_UP_AFTER_SECONDS
    timeout_seconds: float | None = None

    @property
    def remote(self) -> bool:
        """Whether it is done elsewhere, and answered."""
        return self.work is Work.COMMAND

    @property
    def has_action(self) -> bool:
        return self.work is not Work.NOTHING

    @property
    def is_join(self) -> bool:
        return self.step is None

    @property
    def is_child(self) -> bool:
        return isinstance(self.step, ChildStep)

    @property
    def stopped_by_undoing(self) -> bool:
        """Whether undoing it while it runs stops it: a child that nothing but its own undoing compensates."""
        return isinstance(self.step, ChildStep) and self.step.compensation is self.step.undo

    @property
    def may_give_up(self) -> bool:
        """Whether silence may end the waiting: never where success could then no longer be undone, nor for a child,
        which is known to be alive."""
        if self.is_child:
            return False
        if self.kind is StepKind.PIVOT:
            return self.undo is not Undo.NOTHING
        return self.kind is StepKind.COMPENSATABLE

    @property
    def compensation(self) -> Any:
        return None if self.step is None or isinstance(self.step, Choice) else self.step.compensation

    @property
    def command(self) -> AnyCommand | None:
        return self.step.command if isinstance(self.step, AsyncStep) else None

    @property
    def undo_command(self) -> AnyCommand | None:
        return self.compensation.command if isinstance(self.compensation, Send) else None

    @property
    def compensated_elsewhere(self) -> bool:
        """Whether who compensates has never heard of the action: it was local, or another participant's."""
        undo = self.undo_command
        return undo is not None and (self.command is None or self.command.queue != undo.queue)


@dataclass(frozen=True)
class Fork:
    """Branches as they were written, for whoever draws them.

    `gate` is the node of a choice (None: a parallel), `join` the one where the branches meet.
    """

    gate: str | None
    join: str
    branches: tuple[tuple[str, Outline], ...]  # a label for each
    fail_fast: bool = False


Outline = tuple["str | Fork", ...]
"""A sequence as it was written: names of nodes, and forks."""


@dataclass(frozen=True)
class Definition:
    """A saga as the engine sees it."""

    name: str
    response_queue: str
    nodes: Mapping[str, Node]
    outline: Outline
    deadline_seconds: float | None
    data_type: type[Any]
    saga: type[Saga[Any]]
    last: tuple[str, ...]  # the steps that no other comes after
    hooks: frozenset[str]  # the hooks that the application has overridden; the others are not worth a call

    @property
    def commands(self) -> Iterator[AnyCommand]:
        """Every command that it sends, to do and to undo."""
        for node in self.nodes.values():
            yield from (command for command in (node.command, node.undo_command) if command is not None)

    @property
    def queues(self) -> frozenset[str]:
        """Every queue that its commands and replies travel through."""
        return frozenset({self.response_queue, *(command.queue for command in self.commands)})

    @cached_property
    def children(self) -> Mapping[str, type[Saga[Any]]]:
        """The sagas that are steps of this one."""
        return {name: node.step.child for name, node in self.nodes.items() if isinstance(node.step, ChildStep)}

    @cached_property
    def signals(self) -> Mapping[str, WaitForSignal]:
        """The steps that wait for a signal of their name."""
        return {name: node.step for name, node in self.nodes.items() if isinstance(node.step, WaitForSignal)}
