"""Steps as an application declares them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sagas_framework.definition.retry import RetryPolicy
from sagas_framework.errors import DefinitionError
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


StepFunction = Callable[[Any, StepContext], Any]
ReplyFunction = Callable[[Any, Any, StepContext], None]


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
        if not self.name:
            raise DefinitionError("a step needs a name")
        if self.action is None and self.compensation is None:
            raise DefinitionError("it has neither an action nor a compensation: it would do nothing", step=self.name)


@dataclass(frozen=True)
class AsyncStep:
    """A step that a participant does: its command is sent, and the saga goes on when the reply has come.

    `action` returns the payload to send. `ask_again_after_seconds` is how long to wait before the same attempt is
    sent once more (doubling); `give_up_after_seconds` ends the waiting for a step that can be undone.
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

    def __post_init__(self) -> None:
        if not self.name:
            raise DefinitionError("a step needs a name")
        for name in ("ask_again_after_seconds", "give_up_after_seconds"):
            seconds = getattr(self, name)
            if seconds is not None and seconds <= 0:
                raise DefinitionError(f"{name} must be positive, not {seconds}", step=self.name)


Step = SyncStep | AsyncStep
