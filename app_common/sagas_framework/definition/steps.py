"""Steps as an application declares them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sagas_framework.definition.retry import RetryPolicy
from sagas_framework.errors import DefinitionError, EmptyStep
from sagas_framework.vocabulary.codec import is_contract
from sagas_framework.vocabulary.command import Command

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class StepKind(StrEnum):
    """Where a step stands to the point of no return.

    Compensatable steps can be undone; a pivot decides; retriable steps come after it and must succeed in the end.
    """

    COMPENSATABLE = "compensatable"
    PIVOT = "pivot"
    RETRIABLE = "retriable"


COMPENSATABLE = StepKind.COMPENSATABLE
PIVOT = StepKind.PIVOT
RETRIABLE = StepKind.RETRIABLE


@dataclass(frozen=True)
class StepContext:
    """What a step's functions are given besides the saga's data.

    `session` is the local transaction: what is written there commits together with the saga's progress, or not
    at all.
    """

    saga_id: str
    step: str
    attempt: int
    session: Session
    undoes: int | None = None
    """For a compensation: which attempt of the action it undoes."""


StepFunction = Callable[[Any, StepContext], Any]
ReplyFunction = Callable[[Any, Any, StepContext], Any]


@dataclass(frozen=True)
class Send:
    """A compensation that is a command to a participant. Build it with `send`."""

    command: Command
    payload: StepFunction
    awaited: bool = True
    retry: RetryPolicy = field(default_factory=RetryPolicy)


def send(command: Command, payload: StepFunction, *, awaited: bool = True, retry: RetryPolicy | None = None) -> Send:
    """Compensate by sending `command`, with the payload that `payload(data, step)` returns.

    `awaited=False` is for handlers that never answer: the command is sent at least once, and nobody learns what
    became of it.
    """
    refuse_no_command(command)
    return Send(command, payload, awaited, retry or RetryPolicy())


@dataclass(frozen=True)
class SyncStep:
    """A step that runs inside the orchestrator's own transaction."""

    name: str
    action: StepFunction | None = None
    compensation: StepFunction | Send | None = None
    kind: StepKind | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def __post_init__(self) -> None:
        _refuse_no_name(self.name)
        if self.action is None and self.compensation is None:
            raise EmptyStep("it has neither an action nor a compensation: it would do nothing", step=self.name)


@dataclass(frozen=True)
class AsyncStep:
    """A step that a participant does: its command is sent, and the saga goes on when the reply has come.

    `action` returns the payload to send. `ask_again_after_seconds` is how long to wait before the same attempt is
    sent once more (doubling); `give_up_after_seconds` ends the waiting for a step that can be undone.

    `awaited=False` is fire and forget: the command is sent at least once and the saga goes on at once. Nobody learns
    whether it was done, or refused; only for what the saga's outcome does not depend on.
    """

    name: str
    command: Command
    action: StepFunction
    on_success: ReplyFunction | None = None
    on_failure: ReplyFunction | None = None
    compensation: StepFunction | Send | None = None
    kind: StepKind | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    ask_again_after_seconds: float | None = None
    give_up_after_seconds: float | None = None
    awaited: bool = True

    def __post_init__(self) -> None:
        _refuse_no_name(self.name)
        refuse_no_command(self.command, self.name)
        for name in ("ask_again_after_seconds", "give_up_after_seconds"):
            _refuse_not_positive(self.name, name, getattr(self, name))
        if not self.awaited and (self.on_success or self.on_failure):
            problem = "nobody awaits its answer (awaited=False): its on_success and on_failure would never be called"
            raise DefinitionError(problem, step=self.name)


@dataclass(frozen=True)
class WaitForSignal:
    """A step that waits until somebody says that it may go on: `orchestrator.signal(saga_id, name, payload)`.

    The signal bears the step's name; one that comes early is kept until the step begins. `action` runs when the waiting
    begins (to put it on somebody's list, say), `on_signal` when it ends: it may raise, which fails the step. When
    `timeout_seconds` pass without a signal the step fails.
    """

    name: str
    payload: type[Any] = dict
    action: StepFunction | None = None
    on_signal: ReplyFunction | None = None
    compensation: StepFunction | Send | None = None
    timeout_seconds: float | None = None
    kind: StepKind | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def __post_init__(self) -> None:
        _refuse_no_name(self.name)
        _refuse_not_positive(self.name, "timeout_seconds", self.timeout_seconds)
        if not is_contract(self.payload):
            problem = f"its payload must be a dataclass, dict or SagaContext, not {self.payload!r}"
            raise DefinitionError(problem, step=self.name)


@dataclass(frozen=True)
class Sleep:
    """A step that lets time pass: a number of seconds, or a function of the saga's data that returns one."""

    name: str
    seconds: float | StepFunction
    kind: StepKind | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    compensation: None = None

    def __post_init__(self) -> None:
        _refuse_no_name(self.name)
        if not callable(self.seconds):
            _refuse_not_positive(self.name, "seconds", self.seconds)


Step = SyncStep | AsyncStep | WaitForSignal | Sleep


def _refuse_no_name(name: str) -> None:
    if not name:
        raise DefinitionError("a step needs a name")


def refuse_no_command(command: Any, step: str | None = None) -> None:
    if not isinstance(command, Command):
        problem = f"{command!r} is no command; give the Command itself, which also names its queue and its payload"
        raise DefinitionError(problem, step=step)


def _refuse_not_positive(step: str, name: str, seconds: float | None) -> None:
    if seconds is not None and not 0 < seconds < float("inf"):
        raise DefinitionError(f"{name} must be positive, not {seconds}", step=step)
