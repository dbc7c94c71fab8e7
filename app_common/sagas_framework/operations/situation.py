"""Where a saga stands, in one line."""

from __future__ import annotations

from sagas_framework.engine.state import Phase, SagaState, StepState
from sagas_framework.operations.words import in_words, reason_of, times


def situation_of(state: SagaState) -> str:
    """One line: what it waits for, or why it stopped. Nothing for a saga that has succeeded."""
    if state.ended:
        return _failed_at(state) if state.failure else ""
    stuck = [f"{_doing(name, step)} failed: {_why(step)}" for name, step in state.steps.items() if step.stuck]
    if state.closing_failure is not None:
        stuck.append(f"the hook at its end failed: {reason_of(state.closing_failure.to_json())}")
    if state.overdue:
        stuck.append("its deadline passed after the point of no return")
    if state.failing and stuck and state.failure:
        stuck.append(f"it was undone because of {_failed_at(state)}")
    told = stuck or [line for name, step in state.steps.items() if (line := _waiting(name, step))]
    return "; ".join(["paused", *told] if state.paused else told)


def _failed_at(state: SagaState) -> str:
    reason = reason_of(state.failure.to_json()) if state.failure else ""
    return f"{in_words(state.failed_step)}: {reason}" if state.failed_step else reason


def _waiting(name: str, step: StepState) -> str | None:
    if step.retry_at is not None:
        return f"{_doing(name, step)} is tried again after: {_why(step)}"
    if step.awaited is None:
        return None
    if step.awaited.asks:
        return f"no reply yet for {_doing(name, step)}, asked again {times(step.awaited.asks)}"
    return f"waits for the reply to {_doing(name, step)}"


def _doing(name: str, step: StepState) -> str:
    return f"the undoing of {in_words(name)}" if step.phase is Phase.UNDOING else in_words(name)


def _why(step: StepState) -> str:
    return reason_of(step.failure.to_json()) if step.failure else "no reason given"
