"""What each input means: the one transition function of every saga."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Any

from sagas_framework.definition.graph import Definition
from sagas_framework.definition.steps import AsyncStep, StepKind
from sagas_framework.engine import acts, clock
from sagas_framework.engine.protocol import (
    Call,
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
    Stale,
    Start,
    Tick,
    Unhandled,
    UserCode,
)
from sagas_framework.engine.state import Phase, SagaState, StepState
from sagas_framework.engine.walk import Cause, Identity, Walk
from sagas_framework.vocabulary.command import Failure
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
    if isinstance(first, Start):
        return Cause(relay_after_seconds=START_RELAY_SECONDS)
    if isinstance(first, (Retry, Cancel, Resume)):
        return Cause(relay_after_seconds=0.0)  # an operator's process sends nothing: the due loop does, at once
    return Cause()


def transition(definition: Definition, identity: Identity, state: SagaState, entry: Input, cause: Cause) -> Transition:
    """The next state and what is to be done. `cause` is that of the input which began the chain."""
    walk = Walk(definition, identity, state, entry.now, cause)
    _apply(entry, walk)
    walk.proceed()
    return Transition(walk.result(), tuple(walk.effects))


@singledispatch
def _apply(entry: Any, walk: Walk) -> None:
    raise TypeError(f"not an input of the engine: {entry!r}")


@_apply.register
def _(entry: Start, walk: Walk) -> None:
    walk.record("started")
    if walk.definition.deadline_seconds is not None:
        walk.change(deadline_at=entry.now + walk.definition.deadline_seconds)
    walk.look_everywhere()


# ---- what user code returned or raised ---------------------------------------------------------------------------


@_apply.register
def _(entry: Returned, walk: Walk) -> None:
    call = entry.call
    if call.code in (UserCode.SAGA_SUCCESS, UserCode.SAGA_FAILURE):
        walk.end()
    elif call.step is None or call.code in (UserCode.ON_FAILURE, UserCode.COMPENSATION_FAILURE):
        return
    elif call.code is UserCode.COMPENSATION:
        walk.compensation_called(call.step, entry.value)
    elif call.code is UserCode.ACTION and walk.node(call.step).remote:
        walk.await_reply(call.step, Direction.ACTION, entry.value)
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
        walk.compensation_failed(call.step, entry.failure)
    elif call.code is UserCode.ACTION:
        walk.action_failed(call.step, entry.failure)
    else:
        _on_success_raised(walk, call.step, call, entry.failure)


def _on_success_raised(walk: Walk, name: str, call: Call, failure: Failure) -> None:
    if walk.past_no_return():
        walk.get_stuck(name, failure)  # the reply stays in the state: the operator's retry runs the callback again
        return
    walk.record("step_failed", name, call.attempt, failure=failure.to_json())
    walk.settle(name, Phase.DONE, failure=failure)  # the participant did its work: it is undone with the others
    walk.fail(name, failure)


# ---- replies -----------------------------------------------------------------------------------------------------


@_apply.register
def _(entry: Reply, walk: Walk) -> None:
    name = walk.awaiting(entry.in_reply_to)
    if name is None:
        _answers_nothing_awaited(entry, walk)
    elif walk.step(name).phase is Phase.UNDOING:
        _compensation_answered(entry, walk, name)
    else:
        _action_answered(entry, walk, name)


@_apply.register
def _(entry: Unhandled, walk: Walk) -> None:
    name = walk.awaiting(entry.in_reply_to)
    if name is not None:
        walk.get_stuck(name, entry.failure)


def _action_answered(entry: Reply, walk: Walk, name: str) -> None:
    step, node = walk.step(name), walk.node(name)
    failure = entry.failure
    if not entry.succeeded and failure is not None:
        walk.record("reply_failed", name, step.attempt, failure=failure.to_json())
        walk.action_failed(name, failure)
        return
    walk.record("reply_received", name, step.attempt, payload=entry.payload)
    if node.kind is StepKind.PIVOT and walk.saga.failing:
        walk.go_on_after_all(name)
    declared = node.step
    if isinstance(declared, AsyncStep) and declared.on_success is not None:
        walk.put(name, phase=Phase.CONFIRMING, awaited=None, reply=entry.payload)
        walk.call(UserCode.ON_SUCCESS, name, step.attempt, entry.payload)
    else:
        walk.settle(name, Phase.DONE, failure=None)


def _compensation_answered(entry: Reply, walk: Walk, name: str) -> None:
    if entry.succeeded or entry.failure is None:
        walk.compensated(name)
    else:
        walk.compensation_failed(name, entry.failure)


def _answers_nothing_awaited(entry: Reply, walk: Walk) -> None:
    """The duplicate check: it needs no table, because every id that was ever sent can be derived again."""
    if not _was_asked(entry, walk):
        walk.effects.append(Foreign("it answers a message that this saga never sent"))
        return
    walk.effects.append(Stale())
    if entry.redelivered:  # somebody may have died between the commit that this reply led to and its publishing
        for name, step in walk.steps.items():
            if step.awaited is not None and step.awaited.caused_by == entry.in_reply_to:
                walk.publish(name)


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
