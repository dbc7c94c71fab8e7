"""The state of one saga, as values that are never changed in place, and its JSON form.

Named tuples, because they are made by the dozen for every reply: a frozen dataclass takes three times as long to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from sagas_framework.vocabulary.command import Failure


class SagaStatus(StrEnum):
    """What an operator wants to know first. `failed` means rolled back whole."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    COMPENSATING = "compensating"
    FAILED = "failed"
    NEEDS_ATTENTION = "needs_attention"
    ENDED = "ended"  # a process manager that has come to its end


class Phase(StrEnum):
    """How far one step is. A step that the state does not mention is waiting."""

    WAITING = "waiting"
    ACTING = "acting"  # being called, awaited, or about to be tried again
    CONFIRMING = "confirming"  # the reply is here, on_success has not succeeded yet
    DONE = "done"
    FAILED = "failed"  # it was not done: nothing to undo
    UNKNOWN = "unknown"  # given up in silence: it may have been done
    UNDOING = "undoing"
    UNDONE = "undone"
    SKIPPED = "skipped"  # another branch was chosen, or the saga turned round before it did anything


NOT_IN_FORCE = (Phase.WAITING, Phase.FAILED, Phase.UNDONE, Phase.SKIPPED)
PASSED = (Phase.DONE, Phase.SKIPPED)
UNDER_WAY = (Phase.ACTING, Phase.CONFIRMING)


class Awaited(NamedTuple):
    """A command without an answer yet, complete enough to be sent once more."""

    message_id: str
    payload: Any
    caused_by: str | None  # the awaited id whose reply led to this command; None: a start, a timer, an operator
    ask_at: float
    asks: int = 0  # how often it was asked again
    unsent: bool = False  # left to the due loop, which has not sent it yet
    confirmed_at: float | None = None  # when the broker first confirmed asking again: giving up counts from here


class StepState(NamedTuple):
    phase: Phase
    attempt: int = 0
    undo_attempt: int = 0
    forgiven: int = 0  # attempts before the operator's last retry: they do not count against the policy
    awaited: Awaited | None = None
    retry_at: float | None = None
    stuck: bool = False
    failure: Failure | None = None
    reply: Any = None  # kept only until on_success has succeeded
    until: float | None = None  # when its sleep, or its waiting for a signal, is over
    dormant: bool = False  # it waits for a signal or for time, and nobody works on it meanwhile
    chosen: str | None = None  # by a choice, once and for all


class Asked(NamedTuple):
    """The command that this saga's end answers, when it is another's child. `place` is that command's header: `saga`
    and `step` say whose child it is."""

    task: str
    message_id: str
    place: Mapping[str, Any]


class SagaState(NamedTuple):
    steps: Mapping[str, StepState] = MappingProxyType({})
    status: SagaStatus = SagaStatus.RUNNING
    failing: bool = False
    failed_step: str | None = None
    failed_at: float | None = None
    failure: Failure | None = None
    current_step: str | None = None
    last_message_id: str | None = None
    deadline_at: float | None = None
    overdue: bool = False  # the deadline passed after the point of no return
    closing_failure: Failure | None = None  # the hook at the end raised
    paused: bool = False
    halted: tuple[str, ...] = ()  # steps that have failed while the branches beside them may still finish
    signals: Mapping[str, Any] = MappingProxyType({})  # payloads that came before their steps began
    asked: Asked | None = None

    @property
    def ended(self) -> bool:
        return self.status in (SagaStatus.SUCCEEDED, SagaStatus.FAILED, SagaStatus.ENDED)

    def to_json(self) -> dict[str, Any]:
        """Only what differs from a fresh value: the row is written at every step, so small is fast."""
        values = {
            name: _plain(value)
            for name, value, fresh in zip(self._fields, self, _FRESH, strict=True)
            if value != fresh and name != "steps"
        }
        values["steps"] = {name: _step_to_json(step) for name, step in self.steps.items()}
        return values

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SagaState:
        fields = dict(value)
        fields["steps"] = {name: _step_from_json(step) for name, step in fields.get("steps", {}).items()}
        if "status" in fields:
            fields["status"] = SagaStatus(fields["status"])
        if "halted" in fields:
            fields["halted"] = tuple(fields["halted"])
        if "asked" in fields:
            fields["asked"] = Asked(**fields["asked"])
        for name in ("failure", "closing_failure"):
            if fields.get(name) is not None:
                fields[name] = Failure.from_json(fields[name])
        return cls(**fields)


_FRESH = SagaState()
_STEP_DEFAULTS = StepState._field_defaults


def _plain(value: Any) -> Any:
    if isinstance(value, Failure):
        return value.to_json()
    if isinstance(value, (Awaited, Asked)):
        return value._asdict()
    return value.value if isinstance(value, StrEnum) else value


def _step_to_json(step: StepState) -> dict[str, Any]:
    values: dict[str, Any] = {"phase": step.phase.value}
    for name, default in _STEP_DEFAULTS.items():
        value = getattr(step, name)
        if value != default:
            values[name] = _plain(value)
    return values


def _step_from_json(value: Mapping[str, Any]) -> StepState:
    fields = dict(value)
    fields["phase"] = Phase(fields["phase"])
    if fields.get("awaited") is not None:
        fields["awaited"] = Awaited(**fields["awaited"])
    if fields.get("failure") is not None:
        fields["failure"] = Failure.from_json(fields["failure"])
    return StepState(**fields)
