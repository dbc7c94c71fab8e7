"""A saga that is another's step: asked for by a command, and its end is the reply."""

from __future__ import annotations

from sagas_framework.engine import backward, going_on
from sagas_framework.engine.protocol import Answer, Summons
from sagas_framework.engine.state import SagaStatus
from sagas_framework.engine.walk import Walk
from sagas_framework.vocabulary.command import Failure
from sagas_framework.vocabulary.identity import Direction

NEVER_BEGUN = Failure("UndoneBeforeItBegan", "the saga whose step this is undid the step before this one had begun")
_UNDONE = Failure("UndoneWithItsParent", "the saga whose step this is undoes it")


def summoned(walk: Walk, entry: Summons) -> None:
    """Asked again for what is under way, it answers in the end; asked again after its end, it says so once more."""
    known = walk.saga.asked
    if known is not None and known.message_id != entry.asked.message_id and _is_older(walk, entry):
        return
    walk.change(asked=entry.asked)
    if entry.redelivered:
        walk.publish_what_came_of(entry.asked.message_id)
    if entry.direction is Direction.COMPENSATION:
        _undo(walk)
    elif walk.saga.ended:
        going_on.answer(walk)


def _is_older(walk: Walk, entry: Summons) -> bool:
    """Undoing is the last word: a late copy of the command that asked for the saga changes nothing."""
    return going_on.asked_to_undo(walk) and entry.direction is Direction.ACTION


def _undo(walk: Walk) -> None:
    saga = walk.saga
    if saga.status is SagaStatus.FAILED:
        going_on.answer(walk)
    elif not saga.failing and walk.past_no_return():
        assert saga.asked is not None
        walk.effects.append(Answer(saga.asked, going_on.TOO_LATE))
    elif not saga.failing:
        walk.change(status=SagaStatus.RUNNING)  # that it had succeeded is over
        backward.fail(walk, None, _UNDONE)


def never_begun(walk: Walk, entry: Summons) -> None:
    """Undone before it was asked for: it is remembered as failed, so that the command that is still on its way finds
    it so."""
    walk.change(asked=entry.asked, failing=True, failure=NEVER_BEGUN, failed_at=walk.now)
    walk.record("compensating", failure=NEVER_BEGUN.to_json())
    going_on.end(walk)
