"""What an operator is shown, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sagas_framework.definition.graph import Definition, Node, Work
from sagas_framework.definition.structure import ChildStep
from sagas_framework.engine.state import Phase, SagaState, StepState
from sagas_framework.operations.situation import FailedCommands, situation_of
from sagas_framework.storage.keeping import GIVEN_UP
from sagas_framework.vocabulary.identity import child_saga_id

UNKNOWN = "unknown"
"""The kind and the work of a step that this process has no definition of."""

MOST_RECORDED = 100
"""Own events of a saga that are shown, the latest ones."""

_PHASES = {
    "waiting": "not begun",
    "acting": "under way",
    "confirming": "answered",
    "unknown": "no answer",
    "undoing": "being undone",
    "skipped": "left out",
}


@dataclass(frozen=True, kw_only=True)
class SagaSummary:
    """One line of a list of sagas."""

    id: str
    saga: str
    status: str
    paused: bool
    current_step: str | None
    failed_step: str | None
    failed_at: datetime | None
    failure: dict[str, Any] | None
    last_message_id: str | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    wake_at: datetime | None
    situation: str = ""  # what it waits for, or why it stopped; see `situation.situation_of`


@dataclass(frozen=True, kw_only=True)
class StepView:
    """One step: what it is, and how far it is in this saga."""

    name: str
    kind: str
    remote: bool
    command: str | None
    compensation: str | None  # a task's name, "local", or None
    phase: str
    stuck: bool
    attempt: int
    undo_attempt: int
    asks: int
    retry_at: datetime | None
    failure: dict[str, Any] | None
    ask_at: datetime | None = None  # when the command that it awaits is asked again
    message_id: str | None = None  # of that command
    queue: str | None = None  # that its command goes to
    undo_queue: str | None = None  # that its compensation goes to
    work: str = UNKNOWN  # what doing it takes: a value of `definition.graph.Work`
    chosen: str | None = None  # the branch that a choice has chosen
    until: datetime | None = None  # when its sleep, or its waiting for a signal, is over
    child: str | None = None  # the saga that it is
    child_id: str | None = None  # of that saga's instance

    @property
    def state(self) -> str:
        """How far it is, in words."""
        if self.stuck:
            return "stuck"
        if self.work == Work.NOTHING and self.phase in ("waiting", "done"):
            return "only when undoing"
        if self.was_refused:
            return "answer refused"
        if self.phase == "undone" and self.compensation is None:
            return "nothing to undo"
        if self.phase == "acting" and self.retry_at is not None:
            return "to be tried again"
        if self.waits_for_signal:
            return "waits for the signal"
        if self.phase == "acting" and self.work == Work.SLEEP:
            return "sleeps"
        return _PHASES.get(self.phase, self.phase)

    @property
    def was_refused(self) -> bool:
        """Whether the function that was given the reply, or the signal, has raised: it is done, and has failed."""
        settled = self.phase == "done" or (self.phase == "undone" and self.compensation is None)
        return settled and self.failure is not None

    @property
    def waits_for_signal(self) -> bool:
        return self.work == Work.SIGNAL and self.phase == "acting" and self.retry_at is None


@dataclass(frozen=True)
class HistoryEntry:
    at: datetime
    event: str
    step: str | None
    attempt: int | None
    detail: dict[str, Any] | None


@dataclass(frozen=True)
class RecordedEvent:
    """What an event-sourced saga has recorded; its own events are numbered from 1."""

    version: int
    event: str
    payload: Any
    at: datetime


@dataclass(frozen=True)
class Parent:
    """Whose child a saga is."""

    saga_id: str
    step: str


@dataclass(frozen=True, kw_only=True)
class SagaDetails(SagaSummary):
    """Everything that is known of one saga."""

    data: dict[str, Any]
    steps: list[StepView]
    history: list[HistoryEntry]
    idempotency_key: str | None = None
    stale_replies: int = 0
    deadline_at: datetime | None = None
    overdue: bool = False  # the deadline passed after the point of no return
    closing_failure: dict[str, Any] | None = None  # of the hook at the end
    parent: Parent | None = None
    recorded: list[RecordedEvent] = field(default_factory=list)  # the latest MOST_RECORDED of an event-sourced saga


@dataclass(frozen=True, kw_only=True)
class KeptMessage:
    """A message that could not be handled and waits for an operator."""

    id: int
    reason: str
    task: str | None
    queue: str | None
    message_id: str | None
    saga_id: str | None
    headers: dict[str, Any] | None
    body: str
    complete: bool  # whether it was kept as it was, so that it can be sent again
    times: int
    first_kept_at: datetime
    last_kept_at: datetime

    @property
    def given_up(self) -> bool:
        """By an operator: it stays to be looked up, and waits for nobody."""
        return self.reason.startswith(GIVEN_UP)


_SUMMARY_FIELDS = tuple(SagaSummary.__dataclass_fields__)
_MOMENTS = ("failed_at", "created_at", "updated_at", "ended_at", "wake_at", "first_kept_at", "last_kept_at")


def summary_of(row: Mapping[Any, Any], known: Definition | None, failed: FailedCommands = ()) -> SagaSummary:
    return SagaSummary(**_summary_values(row, SagaState.from_json(row["state"]), known, failed))


def details_of(
    row: Mapping[Any, Any],
    history: Iterable[Mapping[Any, Any]],
    known: Definition | None,
    failed: FailedCommands = (),
    recorded: Iterable[Mapping[Any, Any]] = (),
) -> SagaDetails:
    state = SagaState.from_json(row["state"])
    return SagaDetails(
        **_summary_values(row, state, known, failed),
        data=row["data"],
        steps=_steps(row["id"], state, known),
        history=[_entry(line) for line in history],
        idempotency_key=row["idempotency_key"],
        stale_replies=row["stale_replies"],
        deadline_at=moment(state.deadline_at),
        overdue=state.overdue,
        closing_failure=state.closing_failure.to_json() if state.closing_failure else None,
        parent=Parent(state.asked.place["saga"], state.asked.place["step"]) if state.asked else None,
        recorded=[_recorded(own) for own in recorded],
    )


def kept_message_of(row: Mapping[Any, Any]) -> KeptMessage:
    values = {name: row[name] for name in KeptMessage.__dataclass_fields__}
    values |= {name: values[name] or None for name in ("task", "queue", "message_id", "saga_id")}
    values["body"] = values["body"] or ""
    return KeptMessage(**_with_moments(values))


def moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _summary_values(
    row: Mapping[Any, Any], state: SagaState, known: Definition | None, failed: FailedCommands
) -> dict[str, Any]:
    values = {name: row[name] for name in _SUMMARY_FIELDS if name in row}
    values |= {"failure": row["failure_details"], "situation": situation_of(row["id"], state, known, failed)}
    return _with_moments(values)


def _with_moments(values: dict[str, Any]) -> dict[str, Any]:
    return {name: moment(value) if name in _MOMENTS else value for name, value in values.items()}


def _entry(line: Mapping[Any, Any]) -> HistoryEntry:
    at = datetime.fromtimestamp(line["at"], UTC)
    return HistoryEntry(at=at, event=line["event"], step=line["step"], attempt=line["attempt"], detail=line["detail"])


def _recorded(own: Mapping[Any, Any]) -> RecordedEvent:
    return RecordedEvent(own["version"], own["event"], own["payload"], datetime.fromtimestamp(own["at"], UTC))


def _steps(saga_id: str, state: SagaState, known: Definition | None) -> list[StepView]:
    """In the definition's order, without the joins, which nobody has written; without a definition, what the state has
    met so far."""
    waiting = StepState(Phase.WAITING)
    if known is None:
        return [_step(saga_id, name, step, None) for name, step in state.steps.items()]
    nodes = (node for node in known.nodes.values() if not node.is_join)
    return [_step(saga_id, node.name, state.steps.get(node.name, waiting), node) for node in nodes]


def _step(saga_id: str, name: str, step: StepState, node: Node | None) -> StepView:
    command = node.command if node else None
    undo_command = node.undo_command if node else None
    child = node.step.child.name if node and isinstance(node.step, ChildStep) else None
    return StepView(
        name=name,
        kind=node.kind.value if node else UNKNOWN,
        remote=node.remote if node else step.awaited is not None,
        command=command.name if command else None,
        compensation=undo_command.name if undo_command else "local" if node and node.compensation else None,
        phase=step.phase.value,
        stuck=step.stuck,
        attempt=step.attempt,
        undo_attempt=step.undo_attempt,
        asks=step.awaited.asks if step.awaited else 0,
        retry_at=moment(step.retry_at),
        failure=step.failure.to_json() if step.failure else None,
        ask_at=moment(step.awaited.ask_at) if step.awaited else None,
        message_id=step.awaited.message_id if step.awaited else None,
        queue=command.queue if command else None,
        undo_queue=undo_command.queue if undo_command else None,
        work=node.work.value if node else UNKNOWN,
        chosen=step.chosen,
        until=moment(step.until),
        child=child,
        child_id=child_saga_id(saga_id, name, step.attempt) if child and step.attempt else None,
    )
