"""How one saga is printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from sagas_framework.cli import output
from sagas_framework.operations import HistoryEntry, KeptMessage, SagaDetails, StepView, advice_for
from sagas_framework.operations.words import clock, message_of, one_line, reason_of
from sagas_framework.vocabulary.text import printable

TRACEBACK_LINES = 12
"""Of the end of a traceback, which is where the cause stands; `--json` has all of it."""


def show(saga: SagaDetails, kept: Sequence[KeptMessage]) -> None:
    output.field("saga", f"{saga.id}  {saga.saga}")
    output.field("status", output.status(saga.status, saga.paused))
    if saga.situation:
        output.field("situation", saga.situation)
    _advice(saga, kept)
    _times(saga)
    if saga.parent:
        output.field("child of", f"{saga.parent.saga_id}  step {saga.parent.step}")
    if saga.idempotency_key:
        output.field("started by", f"idempotency key {saga.idempotency_key}")
    if saga.last_message_id:
        output.field("last message", saga.last_message_id)
    output.field("data", json.dumps(saga.data, ensure_ascii=False))
    if saga.steps:  # a process manager has none
        output.heading("Steps")
        headers = ["STEP", "STATE", "KIND", "TRIES", "COMMAND", "COMPENSATION", "FAILURE"]
        output.table(headers, [_step(step) for step in saga.steps])
    if saga.recorded:
        _recorded(saga)
    output.heading("History")
    output.table(["AFTER", "EVENT", "STEP", "TRY", ""], [_event(entry, saga) for entry in saga.history])
    _failure(saga)


def _advice(saga: SagaDetails, kept: Sequence[KeptMessage]) -> None:
    lines = []
    for message in kept:
        lines.append(f"message {message.id} of it was kept: {one_line(message.reason)}")
        lines.append(f"    sagas kept show {message.id}")
    for advice in advice_for(saga, datetime.now(UTC)):
        lines.append(advice.text)
        if advice.command:
            lines.append(f"    {advice.command}")
    if lines:
        output.field("what to do", "\n".join(lines))


def _times(saga: SagaDetails) -> None:
    output.field("started", f"{clock(saga.created_at)} ({output.since(saga.created_at)})")
    if saga.ended_at is not None:
        took = output.duration((saga.ended_at - saga.created_at).total_seconds())
        output.field("ended", f"{clock(saga.ended_at)} (after {took})")
    elif saga.wake_at is not None:
        output.field("due", f"{clock(saga.wake_at)} (when a worker looks after it at the latest)")
    if saga.deadline_at is not None:
        output.field("deadline", clock(saga.deadline_at))


def _step(step: StepView) -> list[str]:
    undoing = step.phase in ("undoing", "undone")
    tries = step.undo_attempt if undoing else step.attempt
    asked = f" (asked {step.asks + 1} times)" if step.asks else ""
    return [
        step.name,
        _state(step),
        step.kind,
        f"{tries}{asked}" if tries else "",
        _doing(step),
        step.compensation or "",
        reason_of(step.failure) if step.failure else "",
    ]


def _state(step: StepView) -> str:
    if step.chosen is not None:
        return f"{step.state} (chose {step.chosen})"
    return f"{step.state} (until {clock(step.until)})" if step.until else step.state


def _doing(step: StepView) -> str:
    if step.child is not None:
        return " ".join(filter(None, ("saga", step.child, step.child_id)))
    if step.work == "dispatch":
        return f"{step.command} (no answer awaited)"
    return step.command or (step.work if step.work in ("choice", "signal", "sleep") else "")


def _recorded(saga: SagaDetails) -> None:
    output.heading("Recorded")
    rows = [
        [str(own.version), _after(own.at, saga), own.event, json.dumps(own.payload, ensure_ascii=False)]
        for own in saga.recorded
    ]
    output.table(["VERSION", "AFTER", "EVENT", ""], rows)
    earlier = saga.recorded[0].version - 1
    if earlier:
        click.echo(f"({earlier} earlier ones: the table saga_process_event)")


def _after(at: datetime, saga: SagaDetails) -> str:
    return f"+{output.duration((at - saga.created_at).total_seconds())}"


def _event(entry: HistoryEntry, saga: SagaDetails) -> list[str]:
    tried = str(entry.attempt) if entry.attempt else ""
    return [_after(entry.at, saga), entry.event.replace("_", " "), entry.step or "", tried, _note(entry.detail or {})]


def _note(detail: dict[str, Any]) -> str:
    why = reason_of(detail["failure"]) if detail.get("failure") else one_line(str(detail.get("reason") or ""))
    if detail.get("command"):
        command = " ".join([one_line(str(detail["command"])), *_due(detail)])
        return f"{command}: {why}" if why else command
    if why:
        return why
    if detail.get("chosen"):
        return str(detail["chosen"])
    if detail.get("event"):
        return one_line(f"{detail['event']} {detail.get('aggregate', '')}")
    if detail.get("until"):
        return f"until {clock(datetime.fromtimestamp(detail['until'], UTC))}"
    return json.dumps(detail["payload"], ensure_ascii=False) if detail.get("payload") is not None else ""


def _due(detail: dict[str, Any]) -> list[str]:
    due_at = detail.get("due_at")
    return [f"(due {clock(datetime.fromtimestamp(due_at, UTC))})"] if due_at is not None else []


def _failure(saga: SagaDetails) -> None:
    """The cause of what needs attention, else of the failing; with the end of its traceback."""
    stuck = next((step.failure for step in saga.steps if step.stuck and step.failure), None)
    failure = stuck or saga.closing_failure or saga.failure
    if not failure:
        return
    output.heading("Failure")
    where = f" ({failure['module']})" if failure.get("module") else ""
    click.echo(f"{one_line(str(failure.get('type')))}{one_line(where)}: {message_of(failure)}")
    lines = str(failure.get("traceback") or "").rstrip().splitlines()
    if len(lines) > TRACEBACK_LINES:
        click.echo(f"  ... ({len(lines) - TRACEBACK_LINES} lines more: --json)")
    for line in lines[-TRACEBACK_LINES:]:
        click.echo(f"  {printable(line)}")
