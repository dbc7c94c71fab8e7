"""How sagas read on the page: words, shapes and tones for what the framework reports.

A tone is a class of the style sheet; an icon is one of the shapes in `templates/_icons.html`. No meaning hangs
on colour alone: each tone comes with a word and a shape.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from markupsafe import Markup

from order_service.models import Order, OrderStatus
from sagas_framework import FailureKind
from sagas_framework.operations import HistoryEntry, SagaDetails, SagaSummary, StepView


@dataclass(frozen=True)
class Badge:
    """A state in words, with the shape and the tone that go with it."""

    text: str
    icon: str
    tone: str


SAGA_STATUSES = {
    "running": Badge("Running", "progress", "busy"),
    "succeeded": Badge("Succeeded", "check", "good"),
    "compensating": Badge("Undoing", "undo", "undo"),
    "failed": Badge("Rolled back", "undone", "bad"),
    "needs_attention": Badge("Needs attention", "warning", "alert"),
}
ORDER_STATUSES = {
    OrderStatus.PENDING_VALIDATION: Badge("Pending validation", "progress", "busy"),
    OrderStatus.APPROVED: Badge("Approved", "check", "good"),
    OrderStatus.REJECTED: Badge("Rejected", "cross", "bad"),
}
STEP_PHASES = {
    "waiting": Badge("Not reached", "ring", "idle"),
    "acting": Badge("In progress", "progress", "busy"),
    "confirming": Badge("Confirming", "progress", "busy"),
    "done": Badge("Done", "check", "good"),
    "failed": Badge("Failed", "cross", "bad"),
    "unknown": Badge("No answer", "warning", "alert"),
    "undoing": Badge("Being undone", "undo", "undo"),
    "undone": Badge("Undone", "undone", "undo"),
    "skipped": Badge("Left out", "skip", "idle"),
}
STUCK = Badge("Stuck", "warning", "alert")
UNDO_ONLY = "nothing"
"""The work of a step that has only a compensation."""
UNDO_ONLY_WAITING = Badge("Only if the order fails", "ring", "idle")
UNDO_ONLY_DONE = Badge("Done", "undone", "undo")
NOTHING_TO_UNDO = Badge("Done, nothing to undo", "check", "idle")
SAGA_EVENTS = frozenset({"compensating", "succeeded", "failed", "cancelled", "deadline_passed"})
"""They name the step where it happened, but are not that step's own."""
NOT_NOW = Badge("Answered: not now", "retry", "busy")
KINDS = {
    "compensatable": "can be undone",
    "pivot": "point of no return",
    "retriable": "retried, never undone",
    "unknown": "of a saga that this version does not know",
}
EVENTS = {
    "started": Badge("Saga started", "dot", "idle"),
    "command_sent": Badge("Command sent", "out", "busy"),
    "reply_received": Badge("Reply received", "in", "good"),
    "reply_failed": Badge("Refused", "cross", "bad"),
    "step_done": Badge("Step done", "check", "good"),
    "step_failed": Badge("Step failed", "cross", "bad"),
    "retry_scheduled": Badge("Trying again", "retry", "busy"),
    "asked_again": Badge("Asked again", "retry", "busy"),
    "gave_up": Badge("Gave up waiting", "warning", "alert"),
    "compensating": Badge("Undoing begins", "undo", "undo"),
    "compensation_sent": Badge("Compensation sent", "out", "undo"),
    "compensation_done": Badge("Undone", "undone", "undo"),
    "compensation_failed": Badge("Compensation failed", "cross", "bad"),
    "needs_attention": Badge("Needs an operator", "warning", "alert"),
    "succeeded": Badge("Saga succeeded", "check", "good"),
    "failed": Badge("Saga rolled back", "undone", "bad"),
    "cancelled": Badge("Cancelled by an operator", "undo", "undo"),
    "deadline_passed": Badge("Deadline passed", "warning", "alert"),
    "going_forward": Badge("Goes on after all", "out", "busy"),
    "choice_made": Badge("Chosen", "check", "good"),
    "waiting_for_signal": Badge("Waits for a signal", "progress", "busy"),
    "signal_received": Badge("Signal received", "in", "good"),
    "sleeping": Badge("Sleeps", "progress", "busy"),
    "callback_failed": Badge("A callback failed", "warning", "alert"),
    "operator_retry": Badge("Operator asked for another try", "retry", "busy"),
    "paused": Badge("Paused by an operator", "pause", "idle"),
    "resumed": Badge("Resumed by an operator", "progress", "busy"),
}
EVENTS_SHOWN_WHOLE = 9
LATEST_EVENTS = 6


@dataclass(frozen=True)
class EventPage:
    event: str
    badge: Badge
    at: datetime
    after: str
    step: str | None
    attempt: int | None
    failure: Mapping[str, Any] | None
    note: str
    payload: str


@dataclass(frozen=True)
class StepPage:
    name: str
    title: str
    badge: Badge
    kind: str
    kind_text: str
    place: str
    command: str | None
    compensation: str | None
    attempt: int
    failure: Mapping[str, Any] | None
    retry_at: datetime | None
    events: list[EventPage]

    @property
    def earlier_events(self) -> list[EventPage]:
        """What a step that was tried many times need not show at once."""
        return self.events[:-LATEST_EVENTS] if len(self.events) > EVENTS_SHOWN_WHOLE else []

    @property
    def latest_events(self) -> list[EventPage]:
        return self.events[len(self.earlier_events) :]


@dataclass(frozen=True)
class SagaPage:
    """One saga, ready for the template: the summary for the list, with steps and history for its own page."""

    id: str
    name: str
    status: str
    badge: Badge
    paused: bool
    ended: bool
    started_at: datetime
    duration: str | None
    failure: Mapping[str, Any] | None
    failed_step: str | None
    situation: str
    """What it waits for, or why it stopped."""
    order: Order | None
    order_badge: Badge | None
    steps: list[StepPage] = field(default_factory=list)
    history: list[EventPage] = field(default_factory=list)
    diagram: Markup | None = None


def saga_row(saga: SagaSummary, order: Order | None) -> SagaPage:
    return _saga(saga, order, [], [])


def saga_page(saga: SagaDetails, order: Order | None, diagram: Markup | None = None) -> SagaPage:
    history = [_event(entry, saga.created_at) for entry in saga.history]
    page = _saga(saga, order, [_step(step, history) for step in saga.steps], history)
    return replace(page, diagram=diagram)


def _saga(saga: SagaSummary, order: Order | None, steps: Sequence[StepPage], history: Sequence[EventPage]) -> SagaPage:
    return SagaPage(
        id=saga.id,
        name=saga.saga,
        status=saga.status,
        badge=SAGA_STATUSES[saga.status],
        paused=saga.paused,
        ended=saga.ended_at is not None,
        started_at=saga.created_at,
        duration=None if saga.ended_at is None else duration(saga.ended_at - saga.created_at),
        failure=saga.failure,
        failed_step=saga.failed_step and title(saga.failed_step),
        situation=saga.situation[:1].upper() + saga.situation[1:],
        order=order,
        order_badge=None if order is None else ORDER_STATUSES[OrderStatus(order.status)],
        steps=list(steps),
        history=list(history),
    )


def _step(step: StepView, history: Sequence[EventPage]) -> StepPage:
    return StepPage(
        name=step.name,
        title=title(step.name),
        badge=_step_badge(step),
        kind=step.kind,
        kind_text="acts only when undoing" if step.work == UNDO_ONLY else KINDS[step.kind],
        place=_place(step),
        command=None if step.child else step.command,
        compensation=None if step.work == UNDO_ONLY or step.child else step.compensation,
        attempt=step.attempt,
        failure=step.failure,
        retry_at=step.retry_at,
        events=_without_repeated_failures(event for event in history if event.step == step.name),
    )


def _place(step: StepView) -> str:
    if step.child is not None:
        return f"saga {step.child} {step.child_id or ''}".rstrip()
    if step.work == "choice":
        return f"chose {step.chosen}" if step.chosen else "a choice"
    if step.work in ("signal", "sleep"):
        until = f" until {utc_clock(step.until)} UTC" if step.until else ""
        return ("waits for a signal" if step.work == "signal" else "lets time pass") + until
    return step.command.partition(".")[0] if step.command else "order_service itself"


def _step_badge(step: StepView) -> Badge:
    if step.stuck:
        return STUCK
    if step.work == UNDO_ONLY:
        # To the framework it is done at once, for it has nothing to do. "Reject order: done" would read as a lie.
        return {"done": UNDO_ONLY_WAITING, "undone": UNDO_ONLY_DONE}.get(step.phase) or STEP_PHASES[step.phase]
    if step.phase == "undone" and step.compensation is None:
        return NOTHING_TO_UNDO
    return STEP_PHASES[step.phase]


def _event(entry: HistoryEntry, started_at: datetime) -> EventPage:
    detail = entry.detail or {}
    step = None if entry.event in SAGA_EVENTS else entry.step
    transient = entry.event == "reply_failed" and (detail.get("failure") or {}).get("kind") == FailureKind.TRANSIENT
    return EventPage(
        event=entry.event,
        badge=NOT_NOW if transient else EVENTS.get(entry.event) or Badge(title(entry.event), "dot", "idle"),
        at=entry.at,
        after="+" + duration(entry.at - started_at),
        step=step,
        attempt=entry.attempt,
        failure=detail.get("failure"),
        note=_note(detail, entry.at),
        payload="" if detail.get("payload") is None else json.dumps(detail["payload"], ensure_ascii=False),
    )


def _note(detail: Mapping[str, Any], at: datetime) -> str:
    notes = []
    if "at" in detail:
        notes.append(f"in {duration(timedelta(seconds=float(detail['at']) - at.timestamp()))}")
    if "until" in detail:
        notes.append(f"for {duration(timedelta(seconds=float(detail['until']) - at.timestamp()))}")
    if "chosen" in detail:
        notes.append(str(detail["chosen"]))
    if detail.get("early"):
        notes.append("it came early and is kept")
    if "reason" in detail:
        notes.append(str(detail["reason"]))
    if detail.get("awaited") is False:
        notes.append("nobody waits for an answer")
    return "; ".join(notes)


def _without_repeated_failures(events: Iterable[EventPage]) -> list[EventPage]:
    """One refusal passes through several events. It is told once, where it came in."""
    told: Mapping[str, Any] | None = None
    pages = []
    for event in events:
        pages.append(replace(event, failure=None) if event.failure == told else event)
        told = event.failure or told
    return pages


def contract_links(ports: Mapping[str, int], host: str) -> dict[str, str]:
    """By service, and of all: on the name by which the browser knows this machine (`host`, as the request has it)."""
    name, _, port = host.rpartition(":")
    here = name if name and port.isdigit() else host
    links = {title(service): f"//{here}:{port}/" for service, port in ports.items()}
    return {**links, "Map": f"{next(iter(links.values()))}map"} if links else {}


def title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def duration(length: timedelta) -> str:
    """Rounded to what a person reads at a glance."""
    milliseconds = max(0, round(length.total_seconds() * 1000))
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    minutes, seconds = divmod(milliseconds // 1000, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def utc_clock(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%H:%M:%S")
