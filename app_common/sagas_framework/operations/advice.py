"""What an operator can do about a saga."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sagas_framework.engine.walk import is_never_undone
from sagas_framework.operations.views import SagaDetails, StepView
from sagas_framework.operations.words import times

OVERDUE_SECONDS = 30.0
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
    if saga.wake_at is not None and saga.wake_at < now - timedelta(seconds=OVERDUE_SECONDS):
        seconds = (now - saga.wake_at).total_seconds()
        text = f"it has been due for {seconds:.0f} s and no worker of the orchestrator has looked after it"
        advice.append(Advice(text, "sagas doctor"))
    advice += [_when_waited_for(saga.id, step) for step in saga.steps if step.waits_for_signal]
    return advice + _when_silent(step for step in saga.steps if step.asks and not step.stuck)


def _when_stuck(saga: SagaDetails) -> list[Advice]:
    retry = Advice("remove the cause, then let it try again", f"sagas retry {saga.id} --reason '...'")
    past_no_return = any(is_never_undone(step.kind, step.phase) for step in saga.steps)
    if saga.failed_step is None and saga.closing_failure is None and not past_no_return:
        return [retry, Advice("or undo the whole saga", f"sagas cancel {saga.id} --reason '...'")]
    direction = "back" if saga.failed_at is not None else "forward"
    return [Advice(f"{retry.text} (from here it can only go {direction})", retry.command)]


def _when_waited_for(saga_id: str, step: StepView) -> Advice:
    what = "its signal may still be given" if step.stuck else f"it waits for the signal {step.name}"
    return Advice(what, f"sagas signal {saga_id} {shlex.quote(step.name)} --payload '{{...}}'")


def _when_silent(steps: Iterable[StepView]) -> list[Advice]:
    """Once for each queue: what a thousand branches wait for is one worker."""
    advice: dict[str | None, Advice] = {}
    for step in steps:
        if step.child_id is not None:
            advice[step.child_id] = Advice(f"{step.name} is a saga of its own", f"sagas show {step.child_id}")
        else:
            queue = step.undo_queue if step.phase == "undoing" else step.queue
            advice.setdefault(queue, _when_unanswered(step, queue))
    return [*advice.values()]


def _when_unanswered(step: StepView, queue: str | None) -> Advice:
    what = step.compensation if step.phase == "undoing" else step.command
    where = f" that takes messages from the queue {queue}" if queue else ""
    return Advice(f"nobody has answered {what}, asked again {times(step.asks)}: is a worker running{where}?")
