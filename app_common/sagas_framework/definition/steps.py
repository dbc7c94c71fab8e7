"""Steps as an application declares them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from sagas_framework.definition.retry import RetryPolicy
from sagas_framework.definition.values import refuse_no_function, refuse_no_seconds
from sagas_framework.errors import DefinitionError, EmptyStep
from sagas_framework.vocabulary.codec import is_contract
from sagas_framework.vocabulary.command import AnyCommand, Command, Failure, PayloadType

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
    _announce: Callable[[Any, Any], None] | None = None

    def publish(self, event: Any) -> None:
        """Publishes an event in this transaction: it leaves when that is committed. The orchestrator says which there
        are: `create_orchestrator(publishes=[...])`."""
        if self._announce is None:
            raise DefinitionError("its orchestrator publishes no events; give create_orchestrator publishes=[...]")
        self._announce(event, self.session)


# They default to Any, so that an annotation may say `AsyncStep` and no more.
Data = TypeVar("Data", default=Any)
Payload = TypeVar("Payload", default=Any)
Reply = TypeVar("Reply", default=Any)
Signal = TypeVar("Signal", default=Any)
Seen = TypeVar("Seen", contravariant=True, default=Any)
Returned = TypeVar("Returned", default=Any)

StepFunction = Callable[[Data, StepContext], Returned]
LocalFunction = Callable[[Data, StepContext], Data | None]
ReplyFunction = Callable[[Data, Reply, StepContext], Data | None]


class Element(Generic[Seen]):
    """What a saga is made of. It fits into every saga whose data its functions can be given."""


@dataclass(frozen=True)
class Send(Generic[Data]):
    """A compensation that is a command to a participant. Build it with `send`."""

    command: AnyCommand
    payload: StepFunction[Data, Any]
    awaited: bool = True
    retry: RetryPolicy = field(default_factory=RetryPolicy)


def send(
    command: Command[PayloadType, Any],
    payload: StepFunction[Data, PayloadType],
    *,
    awaited: bool = True,
    retry: RetryPolicy | None = None,
) -> Send[Data]:
    """Compensate by sending `command`, with the payload that `payload(data, step)` returns.

    `awaited=False` is for handlers that never answer: the command is sent at least once, and nobody learns what
    became of it.
    """
    refuse_no_command(command)
    refuse_no_function("the payload of send(...)", payload, 2)
    return Send(command, payload, awaited, retry or RetryPolicy())


@dataclass(frozen=True)
class SyncStep(Element[Data]):
    """A step that runs inside the orchestrator's own transaction."""

    name: str
    action: LocalFunction[Data] | None = None
    compensation: LocalFunction[Data] | Send[Data] | None = None
    kind: StepKind | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def __post_init__(self) -> None:
        _refuse_bad_step(self)
        _refuse_bad_functions(self, action=(self.action, 2))
        if self.action is None and self.compensation is None:
            raise EmptyStep("it has neither an action nor a compensation: it would do nothing", step=self.name)


@dataclass(frozen=True)
class AsyncStep(Element[Data], Generic[Data, Payload, Reply]):
    """A step that a participant does: its command is sent, and the saga goes on when the reply has come.

    `action` returns the payload to send. `ask_again_after_seconds` is how long to wait before the same attempt is
    sent once more (doubling); `give_up_after_seconds` ends the waiting for a step that can be undone.

    `awaited=False` is fire and forget: the command is sent at least once and the saga goes on at once. Nobody learns
    whether it was done, or refused; only for what the saga's outcome does not depend on.
    """

    name: str
    command: Command[Payload, Reply]
    action: StepFunction[Data, Payload]
    on_success: ReplyFunction[Data, Reply] | None = None
    on_failure: ReplyFunction[Data, Failure] | None = None
    compensation: LocalFunction[Data] | Send[Data] | None = None
    kind: StepKind | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    ask_again_after_seconds: float | None = None
    give_up_after_seconds: float | None = None
    awaited: bool = True

    def __post_init__(self) -> None:
        _refuse_bad_step(self)
        refuse_no_command(self.command, self.name)
        refuse_no_function("its action", self.action, 2, self.name)
        _refuse_bad_functions(self, on_success=(self.on_success, 3), on_failure=(self.on_failure, 3))
        for name in ("ask_again_after_seconds", "give_up_after_seconds"):
            if getattr(self, name) is not None:
                refuse_no_seconds(name, getattr(self, name), self.name)
        if not self.awaited and (self.on_success or self.on_failure):
            problem = "nobody awaits its answer (awaited=False): its on_success and on_failure would never be called"
            raise DefinitionError(problem, step=self.name)


@dataclass(frozen=True)
class WaitForSignal(Element[Data], Generic[Data, Signal]):
    """A step that waits until somebody says that it may go on: `orchestrator.signal(saga_id, name, payload)`.

    The signal bears the step's name; one that comes early is kept until the step begins. `action` runs when the waiting
    begins (to put it on somebody's list, say), `on_signal` when it ends: it may raise, which fails the step. When
    `timeout_seconds` pass without a signal the step fails.
    """

    name: str
    payload: type[Signal] = dict  # type: ignore[assignment]  # Signal is Any where it is left out
    action: LocalFunction[Data] | None = None
    on_signal: ReplyFunction[Data, Signal] | None = None
    compensation: LocalFunction[Data] | Send[Data] | None = None
    timeout_seconds: float | None = None
    kind: StepKind | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def __post_init__(self) -> None:
        _refuse_bad_step(self)
        _refuse_bad_functions(self, action=(self.action, 2), on_signal=(self.on_signal, 3))
        if self.timeout_seconds is not None:
            refuse_no_seconds("timeout_seconds", self.timeout_seconds, self.name)
        if not is_contract(self.payload):
            problem = f"its payload must be a dataclass, dict or SagaContext, not {self.payload!r}"
            raise DefinitionError(problem, step=self.name)


@dataclass(frozen=True)
class Sleep(Element[Data]):
    """A step that lets time pass: a number of seconds, or a function of the saga's data that returns one."""

    name: str
    seconds: float | StepFunction[Data, float]
    kind: StepKind | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    compensation: None = None

    def __post_init__(self) -> None:
        _refuse_bad_step(self)
        if callable(self.seconds):
            refuse_no_function("its seconds", self.seconds, 2, self.name)
        else:
            refuse_no_seconds("seconds", self.seconds, self.name)


Step = SyncStep | AsyncStep | WaitForSignal | Sleep


def _refuse_no_name(name: str) -> None:
    if not name:
        raise DefinitionError("a step needs a name")


def refuse_no_command(command: Any, step: str | None = None) -> None:
    if not isinstance(command, Command):
        problem = f"{command!r} is no command; give the Command itself, which also names its queue and its payload"
        raise DefinitionError(problem, step=step)


def _refuse_bad_step(step: Step) -> None:
    """What every kind of step says alike."""
    _refuse_no_name(step.name)
    if step.kind is not None and not isinstance(step.kind, StepKind):
        raise DefinitionError(f"kind must be COMPENSATABLE, PIVOT or RETRIABLE, not {step.kind!r}", step=step.name)
    if not isinstance(step.retry, RetryPolicy):
        raise DefinitionError(f"retry must be a RetryPolicy, not {step.retry!r}", step=step.name)
    compensation: Any = step.compensation
    if isinstance(compensation, Command):
        problem = "its compensation is a command alone; write compensation=send(command, function of its payload)"
        raise DefinitionError(problem, step=step.name)
    if compensation is not None and not isinstance(compensation, Send):
        refuse_no_function("its compensation", compensation, 2, step.name)


def _refuse_bad_functions(step: Step, **functions: tuple[Any, int]) -> None:
    """By name: what was given, if anything, and how many arguments it is called with."""
    for name, (function, arguments) in functions.items():
        if function is not None:
            refuse_no_function(f"its {name}", function, arguments, step.name)
