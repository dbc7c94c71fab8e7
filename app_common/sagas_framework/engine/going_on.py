"""What is next: whatever the steps that have just settled make possible, to the saga's end."""

from __future__ import annotations

from sagas_framework.engine import backward, forward
from sagas_framework.engine.protocol import Answer, UserCode
from sagas_framework.engine.state import NOT_IN_FORCE, PASSED, UNDER_WAY, Phase, SagaStatus
from sagas_framework.engine.walk import Walk
from sagas_framework.vocabulary.command import Failure
from sagas_framework.vocabulary.identity import Direction

TOO_LATE = Failure("CannotBeUndone", "it is past its point of no return; see `sagas show` of the child")


def go_on(walk: Walk) -> None:
    """Start, undo or end whatever can be."""
    if walk.saga.paused or walk.saga.ended or not walk.settled:
        return
    _look_round(walk)
    if any(not backward.waits_for_others(walk, halted) for halted in walk.saga.halted):
        first = walk.saga.halted[0]
        backward.fail(walk, first, walk.step(first).failure or Failure("UnknownFailure", ""))
        _look_round(walk)
    if _stands_still(walk):
        walk.look_everywhere()
        _look_round(walk)
    _close_if_finished(walk)


def _stands_still(walk: Walk) -> bool:
    """Nobody works on it, and it is not over: a later version of the saga has a step that none of its own led to, a
    branch added to a parallel that it had entered, say."""
    under_way = any(step.phase in UNDER_WAY for step in walk.steps.values())
    return not (under_way or walk.saga.failing or _all_done(walk))


def _all_done(walk: Walk) -> bool:
    return all(walk.step(name).phase is Phase.DONE for name in walk.definition.last)


def _look_round(walk: Walk) -> None:
    while walk.settled:
        name = walk.settled.popleft()
        node = walk.node(name)
        if walk.saga.failing:
            backward.undo_if_free(walk, name)
            for previous in node.after:
                backward.undo_if_free(walk, previous)
        elif walk.step(name).phase in PASSED:
            for following in node.before:
                forward.begin_if_ready(walk, following)
        elif not node.after:
            forward.begin_if_ready(walk, name)


def _close_if_finished(walk: Walk) -> None:
    if walk.saga.failing:
        if all(step.phase in NOT_IN_FORCE for step in walk.steps.values()):
            _close(walk, UserCode.SAGA_FAILURE)
    elif _all_done(walk):
        _close(walk, UserCode.SAGA_SUCCESS)


def _close(walk: Walk, hook: UserCode) -> None:
    if hook in walk.definition.hooks:
        walk.call(hook, walk.saga.failed_step, 1, walk.saga.failure)
    else:
        end(walk)


def end(walk: Walk) -> None:
    failed = walk.saga.failing
    walk.change(
        status=SagaStatus.FAILED if failed else SagaStatus.SUCCEEDED,
        current_step=None,
        deadline_at=None,
        overdue=False,
        closing_failure=None,
        signals={},
    )
    walk.record("failed" if failed else "succeeded", walk.saga.failed_step)
    answer(walk)


def answer(walk: Walk) -> None:
    """Tells the saga whose child this is how it ended."""
    saga = walk.saga
    if saga.asked is None:
        return
    if asked_to_undo(walk):
        failure = TOO_LATE if saga.status is SagaStatus.SUCCEEDED else None
    else:
        failure = saga.failure
    walk.effects.append(Answer(saga.asked, failure))


def asked_to_undo(walk: Walk) -> bool:
    asked = walk.saga.asked
    return asked is not None and asked.place.get("direction") == Direction.COMPENSATION.value
