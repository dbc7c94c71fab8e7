"""What each input means: the one transition function of every saga."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Any

from sagas_framework.definition.graph import Definition
from sagas_framework.engine import acts, backward, child, clock, forward, going_on
from sagas_framework.engine.protocol import (
    Cancel,
    Confirmed,
    Effect,
    Foreign,
    Input,
    Pause,
    Raised,
    Reply,
    Resume,
    Retry,
    Returned,
    Signal,
    Stale,
    Start,
    Summons,
    Tick,
    Unhandled,
    UserCode,
)
from sagas_framework.engine.state import Phase, SagaState, StepState
from sagas_framework.engine.walk import Cause, Identity, Walk
from sagas_framework.vocabulary.identity import Direction, message_id

START_RELAY_SECONDS = 2.0
"""How soon the due loop looks after a start whose process may have died between commit and publish."""


@dataclass(frozen=True)
class Transition:
    state: SagaState
    effects: tuple[Effect, ...]


def cause_of(first: Input) -> Cause:
    """What the commands of a chain that begins with this input are attributed to."""
    if isinstance(first, Reply):
        return Cause(reply=first.in_reply_to)
    if isinstance(first, Summons):
        return Cause(reply=first.asked.message_id)
    if isinstance(first, Start):
        return Cause(relay_after_seconds=START_RELAY_SECONDS)
    if isinstance(first, (Retry, Cancel, Resume, Signal)):
        return Cause(relay_after_seconds=0.0)  # an operator's process sends nothing: the due loop does, at once
    return Cause()


def transition(definition: Definition, identity: Identity, state: SagaState, entry: Input, cause: Cause) -> Transition:
    """The next state and what is to be done. `cause` is that of the input which began the chain."""
    walk = Walk(definition, identity, state, entry.now, cause)
    _apply(entry, walk)
    going_on.go_on(walk)
    return Transition(walk.result(), tuple(walk.effects))


@singledispatch
def _apply(entry: Any, walk: Walk) -> None:
    raise TypeError(f"not an input of the engine: {entry!r}")


@_apply.register
def _(entry: Start, walk: Walk) -> None:
    _start(walk)


def _start(walk: Walk) -> None:
    walk.record("started")
    if walk.definition.deadline_seconds is not None:
        walk.change(deadline_at=walk.now + walk.definition.deadline_seconds)
    walk.look_everywhere()


@_apply.register
def _(entry: Summons, walk: Walk) -> None:
    if walk.saga.asked is not None:
        child.summoned(walk, entry)
    elif entry.direction is Direction.COMPENSATION:
        child.never_begun(walk, entry)
    else:
        walk.change(asked=entry.asked)
        _start(walk)


# ---- what user code returned or raised ---------------------------------------------------------------------------


@_apply.register
def _(entry: Returned, walk: Walk) -> None:
    call = entry.call
    if call.code in (UserCode.SAGA_SUCCESS, UserCode.SAGA_FAILURE):
        going_on.end(walk)
    elif call.step is None or call.code in (UserCode.ON_FAILURE, UserCode.COMPENSATION_FAILURE):
        return
    elif call.code is UserCode.COMPENSATION:
        backward.compensation_called(walk, call.step, entry.value)
    elif call.code is UserCode.ACTION:
        forward.action_returned(walk, call.step, entry.value)
    else:
        walk.record("step_done", call.step, call.attempt)
        walk.settle(call.step, Phase.DONE, failure=None)


@_apply.register
def _(entry: Raised, walk: Walk) -> None:
    call = entry.call
    if call.code in (UserCode.SAGA_SUCCESS, UserCode.SAGA_FAILURE):
        walk.change(closing_failure=entry.failure)
        walk.record("needs_attention", call.step, hook=call.code.value, failure=entry.failure.to_json())
    elif call.step is None or call.code in (UserCode.ON_FAILURE, UserCode.COMPENSATION_FAILURE):
        walk.record("callback_failed", call.step, hook=call.code.value, failure=entry.failure.to_json())
    elif call.code is UserCode.COMPENSATION:
        backward.compensation_failed(walk, call.step, entry.failure)
    elif call.code is UserCode.ACTION:
        forward.failed(walk, call.step, entry.failure)
    else:
        forward.refused_by_callback(walk, call.step, call.attempt, entry.failure)


# ---- replies and signals -----------------------------------------------------------------------------------------


@_apply.register
def _(entry: Reply, walk: Walk) -> None:
    name = walk.awaiting(entry.in_reply_to)
    if name is None:
        _answers_nothing_awaited(entry, walk)
        return
    failure = None if entry.succeeded else entry.failure
    if walk.step(name).phase is Phase.UNDOING:
        if failure is None:
            backward.compensated(walk, name)
        else:
            backward.compensation_failed(walk, name, failure)
    elif failure is None:
        forward.answered(walk, name, entry.payload)
    else:
        walk.record("reply_failed", name, walk.step(name).attempt, failure=failure.to_json())
        forward.failed(walk, name, failure)


@_apply.register
def _(entry: Unhandled, walk: Walk) -> None:
    name = walk.awaiting(entry.in_reply_to)
    if name is not None:
        walk.get_stuck(name, entry.failure)


@_apply.register
def _(entry: Signal, walk: Walk) -> None:
    forward.signalled(walk, entry.name, entry.payload)


def _answers_nothing_awaited(entry: Reply, walk: Walk) -> None:
    """The duplicate check: it needs no table, because every id that was ever sent can be derived again."""
    if not _was_asked(entry, walk):
        walk.effects.append(Foreign("it answers a message that this saga never sent"))
        return
    walk.effects.append(Stale())
    if entry.redelivered:  # somebody may have died between the commit that this reply led to and its publishing
        walk.publish_what_came_of(entry.in_reply_to)
        if walk.saga.ended:
            going_on.answer(walk)


def _was_asked(entry: Reply, walk: Walk) -> bool:
    if entry.place is not None and entry.place[0] in walk.steps:
        name, direction, attempt = entry.place
        step = walk.step(name)
        if not 0 < attempt <= (step.attempt if direction is Direction.ACTION else step.undo_attempt):
            return False
        identity = walk.identity
        return message_id(identity.orchestrator, identity.saga_id, name, direction, attempt) == entry.in_reply_to
    return any(entry.in_reply_to in _settled_ids(walk, name, step) for name, step in walk.steps.items())


def _settled_ids(walk: Walk, name: str, step: StepState) -> set[str]:
    orchestrator, saga_id = walk.identity.orchestrator, walk.identity.saga_id
    asked = ((Direction.ACTION, step.attempt), (Direction.COMPENSATION, step.undo_attempt))
    return {
        message_id(orchestrator, saga_id, name, direction, attempt)
        for direction, attempts in asked
        for attempt in range(1, attempts + 1)
    }


# ---- time and operators ------------------------------------------------------------------------------------------


@_apply.register
def _(entry: Tick, walk: Walk) -> None:
    clock.look_at_the_clock(walk, entry.crowded)


@_apply.register
def _(entry: Confirmed, walk: Walk) -> None:
    clock.remember_confirmed(walk, entry.message_ids)


@_apply.register
def _(entry: Retry, walk: Walk) -> None:
    acts.retry(walk, entry.reason)


@_apply.register
def _(entry: Cancel, walk: Walk) -> None:
    acts.cancel(walk, entry.reason)


@_apply.register
def _(entry: Pause, walk: Walk) -> None:
    acts.pause(walk, entry.reason)


@_apply.register
def _(entry: Resume, walk: Walk) -> None:
    acts.resume(walk, entry.reason)
