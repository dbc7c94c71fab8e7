"""Where a saga stands, in one line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sagas_framework.definition.graph import Definition, Work
from sagas_framework.engine.state import Phase, SagaState, SagaStatus, StepState
from sagas_framework.operations.words import clock, in_words, one_line, reason_of, times
from sagas_framework.vocabulary.identity import child_saga_id

FailedCommands = Sequence[tuple[str, str]]
"""(name, problem) of each."""
MOST_TOLD = 3
"""Of the steps that are under way side by side: one line is to stay one line."""


def situation_of(saga_id: str, state: SagaState, known: Definition | None, failed: FailedCommands = ()) -> str:
    """One line: what it waits for, or why it stopped. Nothing for a saga that has ended well. `failed`: what it has
    sent and waits for the operator, if it is a process manager's."""
    unsent = _few([f"{in_words(command)} failed: {one_line(problem)}" for command, problem in failed])
    if unsent:
        unsent.append("see `sagas events outgoing`")
    if state.ended:
        return "; ".join([*unsent, *([_failed_at(state)] if state.failure else [])])
    if known is None and not state.steps and state.status is SagaStatus.RUNNING:  # it is a process manager's
        return "; ".join([*unsent, "waits for events"])
    steps = _in_order(state, known)
    stuck = _few([f"{_doing(name, step)} failed: {_why(step)}" for name, step in steps if step.stuck])
    if state.closing_failure is not None:
        stuck.append(f"the hook at its end failed: {reason_of(state.closing_failure.to_json())}")
    if state.overdue:
        stuck.append("its deadline passed after the point of no return")
    if state.failing and stuck and state.failure:
        stuck.append(f"it was undone because of {_failed_at(state)}")
    waiting = [_waiting(saga_id, name, step, known) for name, step in steps]
    told = stuck or [*_halted(state), *_few([line for line in waiting if line])]
    return "; ".join(["paused", *told] if state.paused else told)


def _in_order(state: SagaState, known: Definition | None) -> list[tuple[str, StepState]]:
    """As they were written: the database gives them back in an order of its own."""
    names = state.steps if known is None else [name for name in known.nodes if name in state.steps]
    return [(name, state.steps[name]) for name in names]


def _failed_at(state: SagaState) -> str:
    reason = reason_of(state.failure.to_json()) if state.failure else ""
    return f"{in_words(state.failed_step)}: {reason}" if state.failed_step else reason


def _halted(state: SagaState) -> list[str]:
    """What has failed already while the branches beside it go on."""
    if not state.halted:
        return []
    failed = [f"{in_words(name)} failed: {_why(state.steps[name])}" for name in state.halted if name in state.steps]
    return [*_few(failed), f"the branches beside {'it' if len(failed) == 1 else 'them'} finish first"]


def _waiting(saga_id: str, name: str, step: StepState, known: Definition | None) -> str | None:
    node = known.nodes.get(name) if known else None
    if step.retry_at is not None:
        return f"{_doing(name, step)} is tried again after: {_why(step)}"
    if step.dormant:
        until = None if step.until is None else clock(datetime.fromtimestamp(step.until, UTC))
        if node is not None and node.work is Work.SLEEP:
            return f"sleeps until {until}"
        return f"waits for the signal {name}" + (f" (until {until})" if until else "")
    if step.awaited is None:
        return None
    if node is not None and node.is_child:
        undoing = " to be undone" if step.phase is Phase.UNDOING else ""
        return f"waits for its child saga {child_saga_id(saga_id, name, step.attempt)}{undoing}"
    if step.awaited.asks:
        return f"no reply yet for {_doing(name, step)}, asked again {times(step.awaited.asks)}"
    return f"waits for the reply to {_doing(name, step)}"


def _few(lines: Sequence[str]) -> list[str]:
    told = [*lines[:MOST_TOLD]]
    return [*told, f"and {len(lines) - MOST_TOLD} more like these"] if len(lines) > MOST_TOLD else told


def _doing(name: str, step: StepState) -> str:
    return f"the undoing of {in_words(name)}" if step.phase is Phase.UNDOING else in_words(name)


def _why(step: StepState) -> str:
    return reason_of(step.failure.to_json()) if step.failure else "no reason given"
