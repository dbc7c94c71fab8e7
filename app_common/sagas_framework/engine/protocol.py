"""What goes into the engine and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sagas_framework.engine.state import Asked
from sagas_framework.vocabulary.command import Failure
from sagas_framework.vocabulary.identity import Direction


class UserCode(StrEnum):
    """Which function of the application is to be called."""

    ACTION = "action"
    COMPENSATION = "compensation"
    ON_SUCCESS = "on_success"
    ON_FAILURE = "on_failure"
    SAGA_SUCCESS = "on_saga_success"
    SAGA_FAILURE = "on_saga_failure"
    COMPENSATION_FAILURE = "on_compensation_failure"


# ---- effects: what the engine wants done, in this order -------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """Call user code. Answer with Returned or Raised.

    `argument` is the reply or the failure it is given, or which attempt of the action a compensation undoes.
    """

    code: UserCode
    step: str | None
    attempt: int
    argument: Any = None


@dataclass(frozen=True)
class Publish:
    """Send the command that this step awaits (its payload stands in the state)."""

    step: str
    direction: Direction
    attempt: int
    message_id: str
    payload: Any
    again: bool = False


@dataclass(frozen=True)
class Dispatch:
    """Send a command that nobody awaits: it goes through the outbox."""

    step: str
    direction: Direction
    attempt: int
    payload: Any


@dataclass(frozen=True)
class Answer:
    """Tell the saga whose child this is how it ended; a success carries the saga's data."""

    asked: Asked
    failure: Failure | None = None


@dataclass(frozen=True)
class Record:
    """One line of the saga's history."""

    event: str
    step: str | None = None
    attempt: int | None = None
    detail: dict[str, Any] | None = None


@dataclass(frozen=True)
class Stale:
    """The reply answers an attempt that is settled: count it, change nothing."""


@dataclass(frozen=True)
class Foreign:
    """The reply answers nothing that this saga ever asked: keep it for the operator."""

    reason: str


@dataclass(frozen=True)
class Refuse:
    """The operator's act, or the signal, does not fit the state; nothing was changed."""

    reason: str


Effect = Call | Publish | Dispatch | Answer | Record | Stale | Foreign | Refuse


# ---- inputs ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Start:
    now: float


@dataclass(frozen=True)
class Returned:
    now: float
    call: Call
    value: Any = None  # the encoded payload, the label of the chosen branch, the seconds to sleep


@dataclass(frozen=True)
class Raised:
    now: float
    call: Call
    failure: Failure


@dataclass(frozen=True)
class Reply:
    now: float
    in_reply_to: str
    succeeded: bool
    payload: Any = None  # of a success, already checked against the command's response
    failure: Failure | None = None
    redelivered: bool = False
    place: tuple[str, Direction, int] | None = None  # the step, direction and attempt that it says it answers


@dataclass(frozen=True)
class Unhandled:
    """No process survives handling the reply to this message: the operator has it. Asking again would bring it back."""

    now: float
    in_reply_to: str
    failure: Failure


@dataclass(frozen=True)
class Tick:
    """The saga's due time has come (or it was merely looked at early: then nothing happens).

    `crowded`: queues with a backlog. What was sent through them waits there, and asking again would only add to it.
    """

    now: float
    crowded: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Confirmed:
    """The broker confirmed that these commands were asked again."""

    now: float
    message_ids: frozenset[str]


@dataclass(frozen=True)
class Retry:
    now: float
    reason: str


@dataclass(frozen=True)
class Cancel:
    now: float
    reason: str


@dataclass(frozen=True)
class Pause:
    now: float
    reason: str


@dataclass(frozen=True)
class Resume:
    now: float
    reason: str


@dataclass(frozen=True)
class Signal:
    """Somebody says that the step of this name may go on; the payload is checked already."""

    now: float
    name: str
    payload: Any = None


@dataclass(frozen=True)
class Summons:
    """The saga whose child this is asks for it (ACTION), or wants it undone (COMPENSATION)."""

    now: float
    asked: Asked
    direction: Direction
    redelivered: bool = False


Act = Retry | Cancel | Pause | Resume | Signal
Input = Start | Returned | Raised | Reply | Unhandled | Tick | Confirmed | Act | Summons
