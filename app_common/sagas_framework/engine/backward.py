"""Turning round and undoing: against the edges, each step only when nothing that depends on it is in force."""

from __future__ import annotations

from sagas_framework.definition.graph import Undo
from sagas_framework.definition.steps import StepKind
from sagas_framework.engine.protocol import Dispatch, UserCode
from sagas_framework.engine.state import NOT_IN_FORCE, UNDER_WAY, Phase, StepState
from sagas_framework.engine.walk import Walk
from sagas_framework.vocabulary.command import Failure
from sagas_framework.vocabulary.identity import Direction


def turn(walk: Walk, name: str, failure: Failure) -> None:
    """A step has failed. Where branches beside it are to finish first, the saga turns round when they have."""
    if walk.saga.failing:
        return
    if all(place.fail_fast for place in walk.node(name).places):
        fail(walk, name, failure)
    else:
        walk.change(halted=(*walk.saga.halted, name))


def may_go_on(walk: Walk, name: str) -> bool:
    """Whether a step may begin although others have failed: only where it stands beside them, and those wait for it."""
    return not walk.saga.failing and all(_is_waited_for(walk, name, failed) for failed in walk.saga.halted)


def waits_for_others(walk: Walk, failed: str) -> bool:
    """Whether a step that is to finish before this failed one turns the saga round is still under way."""
    return any(step.phase in UNDER_WAY and _is_waited_for(walk, name, failed) for name, step in walk.steps.items())


def _is_waited_for(walk: Walk, name: str, failed: str) -> bool:
    for here, there in zip(walk.node(name).places, walk.node(failed).places, strict=False):
        if here != there:
            return here.parallel == there.parallel and not here.fail_fast
    return False


def fail(walk: Walk, name: str | None, failure: Failure) -> None:
    """Turn round: nothing new starts, and what was or may have been done is undone against the edges."""
    if walk.saga.failing:
        return
    # A hook of the success that raised is no trouble any more: that success will not be.
    walk.change(failing=True, failed_step=name, failed_at=walk.now, failure=failure, closing_failure=None, halted=())
    walk.record("compensating", name, failure=failure.to_json())
    for other, step in list(walk.steps.items()):
        if step.phase is Phase.ACTING:
            _stop_waiting(walk, other, step)
    walk.settled.extend(walk.steps)


def _stop_waiting(walk: Walk, name: str, step: StepState) -> None:
    """Whose answer is still to come is compensated only when it is there. The others need not be waited for."""
    node = walk.node(name)
    if step.retry_at is not None:
        walk.settle(name, Phase.FAILED)  # its last attempt was answered: there is nothing to undo
    elif step.dormant:
        walk.settle(name, Phase.SKIPPED if node.undo is Undo.NOTHING else Phase.UNKNOWN)
    elif step.awaited is not None and (node.stopped_by_undoing or (step.stuck and node.may_give_up)):
        walk.settle(name, Phase.UNKNOWN)  # it stops now, or its answer could not be handled: it may have been done


def go_on_if_decided(walk: Walk, name: str) -> None:
    """A pivot that was in flight when the saga turned round has succeeded: from here nothing is undone."""
    if not walk.saga.failing or walk.node(name).kind is not StepKind.PIVOT:
        return
    walk.change(failing=False, failed_step=None, failed_at=None, failure=None)
    walk.record("going_forward", name, reason="the pivot succeeded before anything was undone")


def undo_if_free(walk: Walk, name: str) -> None:
    if walk.step(name).phase not in (Phase.DONE, Phase.UNKNOWN):
        return
    if all(walk.step(following).phase in NOT_IN_FORCE for following in walk.node(name).before):
        _undo(walk, name)


def _undo(walk: Walk, name: str) -> None:
    if walk.node(name).undo is Undo.NOTHING:
        walk.settle(name, Phase.UNDONE)
        return
    walk.put(name, phase=Phase.UNDOING, forgiven=0)
    walk.change(current_step=name)
    call_compensation(walk, name)


def call_compensation(walk: Walk, name: str) -> None:
    step = walk.put(name, undo_attempt=walk.step(name).undo_attempt + 1, retry_at=None, stuck=False)
    walk.call(UserCode.COMPENSATION, name, step.undo_attempt, step.attempt)


def compensation_called(walk: Walk, name: str, payload: object) -> None:
    undo, attempt = walk.node(name).undo, walk.step(name).undo_attempt
    if undo is Undo.AWAITED:
        walk.await_reply(name, Direction.COMPENSATION, payload)
        return
    if undo is Undo.UNAWAITED:
        walk.record("compensation_sent", name, attempt, payload=payload, awaited=False)
        walk.effects.append(Dispatch(name, Direction.COMPENSATION, attempt, payload))
    compensated(walk, name)


def compensated(walk: Walk, name: str) -> None:
    walk.record("compensation_done", name, walk.step(name).undo_attempt)
    walk.settle(name, Phase.UNDONE)


def compensation_failed(walk: Walk, name: str, failure: Failure) -> None:
    node, step = walk.node(name), walk.put(name, awaited=None, stuck=False, failure=failure)
    tries = step.undo_attempt - step.forgiven
    walk.record("compensation_failed", name, step.undo_attempt, failure=failure.to_json())
    if node.undo_retry.allows_another_after(tries):
        walk.put(name, retry_at=walk.now + node.undo_retry.delay_seconds_after(tries))
        return
    walk.get_stuck(name, failure)
    if UserCode.COMPENSATION_FAILURE in walk.definition.hooks:
        walk.call(UserCode.COMPENSATION_FAILURE, name, step.undo_attempt, failure)
