"""What an operator may do to a saga. An act that does not fit the state is refused and changes nothing."""

from __future__ import annotations

from sagas_framework.engine import backward
from sagas_framework.engine.clock import try_again
from sagas_framework.engine.protocol import UserCode
from sagas_framework.engine.state import Awaited, Phase, StepState
from sagas_framework.engine.walk import Walk
from sagas_framework.vocabulary.command import Failure, FailureKind


def retry(walk: Walk, reason: str) -> None:
    if walk.saga.ended or walk.saga.paused:
        walk.refuse("it has ended" if walk.saga.ended else "it is paused; resume it first")
        return
    walk.record("operator_retry", reason=reason)
    for name, step in list(walk.steps.items()):
        if step.awaited is not None:  # stuck: its answer could not be handled. The same attempt is asked for again
            walk.put(name, stuck=False, awaited=_asked_anew(walk, step.awaited))
        elif step.stuck:
            _unstick(walk, name, step)
        elif step.retry_at is not None:
            walk.put(name, retry_at=walk.now)
    closing = walk.saga.closing_failure is not None
    walk.change(overdue=False, closing_failure=None)
    if closing:
        walk.look_everywhere()


def _asked_anew(walk: Walk, awaited: Awaited) -> Awaited:
    """The same message, and the patience starts anew: silence from before the operator's act is held against nobody."""
    return awaited._replace(ask_at=walk.now, asks=0, confirmed_at=None)


def _unstick(walk: Walk, name: str, step: StepState) -> None:
    """The policy starts anew; the attempt number goes on, for a failure has answered the last one."""
    if step.phase is Phase.CONFIRMING:
        walk.put(name, stuck=False)
        walk.call(UserCode.ON_SUCCESS, name, step.attempt, step.reply)
        return
    undoing = step.phase is Phase.UNDOING
    walk.put(name, forgiven=step.undo_attempt if undoing else step.attempt)
    try_again(walk, name)


def cancel(walk: Walk, reason: str) -> None:
    if walk.saga.ended:
        walk.refuse("it has ended")
    elif walk.saga.failing:
        walk.refuse("it is being compensated already")
    elif walk.past_no_return():
        walk.refuse("it is past its point of no return; it can only go forward (see `sagas retry`)")
    else:
        walk.record("cancelled", walk.saga.current_step, reason=reason)
        backward.fail(walk, walk.saga.current_step, Failure("SagaCancelled", reason, kind=FailureKind.REFUSED))


def pause(walk: Walk, reason: str) -> None:
    if walk.saga.ended or walk.saga.paused:
        walk.refuse("it has ended" if walk.saga.ended else "it is paused already")
        return
    walk.record("paused", reason=reason)
    walk.change(paused=True)


def resume(walk: Walk, reason: str) -> None:
    if not walk.saga.paused:
        walk.refuse("it is not paused")
        return
    walk.record("resumed", reason=reason)
    walk.change(paused=False)
    for name, step in list(walk.steps.items()):
        if step.awaited is not None:
            walk.put(name, awaited=_asked_anew(walk, step.awaited))
    walk.look_everywhere()
