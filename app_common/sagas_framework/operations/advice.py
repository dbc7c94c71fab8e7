"""What an operator can do about a saga."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sagas_framework.operations.views import SagaDetails, StepView
from sagas_framework.operations.words import times

OVERDUE_AFTER = timedelta(seconds=30)
"""A worker looks every half second: what has been due for so long, nobody looks after."""


@dataclass(frozen=True)
class Advice:
    """What is the matter and, where an act of the operator helps, the command line for it (`{id}` filled in)."""

    text: str
    command: str | None = None


def advice_for(saga: SagaDetails, now: datetime) -> list[Advice]:
    """What to do, the most urgent first; nothing for a saga that goes its way."""
    if saga.ended_at is not None:
        return []
    if saga.paused:
        return [Advice("it is paused: nothing new begins until it is resumed", f"sagas resume {saga.id}")]
    advice = _when_stuck(saga) if saga.status == "needs_attention" else []
    if saga.wake_at is not None and saga.wake_at < now - OVERDUE_AFTER:
        seconds = (now - saga.wake_at).total_seconds()
        text = f"it has been due for {seconds:.0f} s and no worker of the orchestrator has looked after it"
        advice.append(Advice(text, "sagas doctor"))
    advice += [_when_silent(step) for step in saga.steps if step.asks]
    return advice


def _when_stuck(saga: SagaDetails) -> list[Advice]:
    retry = Advice("remove the cause, then let it try again", f"sagas retry {saga.id} --reason '...'")
    if saga.failed_step is None and saga.closing_failure is None and not past_no_return(saga.steps):
        return [retry, Advice("or undo the whole saga", f"sagas cancel {saga.id} --reason '...'")]
    direction = "back" if saga.failed_at is not None else "forward"
    return [Advice(f"{retry.text} (from here it can only go {direction})", retry.command)]


def _when_silent(step: StepView) -> Advice:
    what = step.compensation if step.phase == "undoing" else step.command
    queue = step.undo_queue if step.phase == "undoing" else step.queue
    where = f" that takes messages from the queue {queue}" if queue else ""
    return Advice(f"nobody has answered {what}, asked again {times(step.asks)}: is a worker running{where}?")


def past_no_return(steps: Sequence[StepView]) -> bool:
    """Whether something has happened that is never undone."""
    return any(
        (step.kind == "retriable" and step.phase != "waiting")
        or (step.kind == "pivot" and step.phase in ("confirming", "done"))
        for step in steps
    )
