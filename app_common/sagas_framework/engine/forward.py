"""Going forward: beginning a step, what its beginning came to, and what becomes of it when it fails."""

from __future__ import annotations

from typing import Any

from sagas_framework.definition.graph import Undo, Work
from sagas_framework.definition.steps import StepKind
from sagas_framework.engine import backward
from sagas_framework.engine.protocol import Dispatch, UserCode
from sagas_framework.engine.state import PASSED, Phase
from sagas_framework.engine.walk import Walk
from sagas_framework.vocabulary.command import Failure, FailureKind
from sagas_framework.vocabulary.identity import Direction


def begin_if_ready(walk: Walk, name: str) -> None:
    if walk.step(name).phase is not Phase.WAITING:
        return
    if all(walk.step(previous).phase in PASSED for previous in walk.node(name).after) and backward.may_go_on(
        walk, name
    ):
        _begin(walk, name)


def _begin(walk: Walk, name: str) -> None:
    if not walk.node(name).has_action:
        walk.settle(name, Phase.DONE)
        return
    walk.change(current_step=name)
    call_action(walk, name)


def call_action(walk: Walk, name: str) -> None:
    attempt = walk.step(name).attempt + 1
    walk.put(name, phase=Phase.ACTING, attempt=attempt, retry_at=None, stuck=False)
    walk.call(UserCode.ACTION, name, attempt)


def action_returned(walk: Walk, name: str, value: Any) -> None:
    """The step's function was called; `value` is the payload, the chosen branch or the seconds that it returned."""
    work = walk.node(name).work
    if work is Work.LOCAL:
        backward.go_on_if_decided(walk, name)
        _done(walk, name)
    elif not backward.may_go_on(walk, name):  # another has failed since this one was called: nothing new starts
        undo = work is Work.SIGNAL and walk.node(name).undo is not Undo.NOTHING
        walk.settle(name, Phase.UNKNOWN if undo else Phase.SKIPPED)
    elif work is Work.COMMAND:
        walk.await_reply(name, Direction.ACTION, value)
    elif work is Work.DISPATCH:
        _dispatch(walk, name, value)
    elif work is Work.CHOICE:
        _choose(walk, name, value)
    elif work is Work.SIGNAL:
        _wait_for_signal(walk, name)
    else:
        walk.put(name, until=walk.now + value, dormant=True)
        walk.record("sleeping", name, until=walk.now + value)


def _done(walk: Walk, name: str) -> None:
    walk.record("step_done", name, walk.step(name).attempt)
    walk.settle(name, Phase.DONE, failure=None)


def _dispatch(walk: Walk, name: str, payload: Any) -> None:
    attempt = walk.step(name).attempt
    walk.record("command_sent", name, attempt, payload=payload, awaited=False)
    walk.effects.append(Dispatch(name, Direction.ACTION, attempt, payload))
    walk.settle(name, Phase.DONE, failure=None)


def _choose(walk: Walk, name: str, label: str) -> None:
    """Once and for all: what stands in the other branches is left out."""
    walk.record("choice_made", name, chosen=label)
    walk.leave_out_all_but(label, name)
    walk.settle(name, Phase.DONE, chosen=label, failure=None)


# ---- signals and sleep -------------------------------------------------------------------------------------------


def _wait_for_signal(walk: Walk, name: str) -> None:
    signals = dict(walk.saga.signals)
    if name in signals:
        payload = signals.pop(name)
        walk.change(signals=signals)
        _confirm(walk, name, payload)
        return
    timeout = walk.node(name).timeout_seconds
    walk.put(name, until=None if timeout is None else walk.now + timeout, dormant=True)
    walk.record("waiting_for_signal", name)


def signalled(walk: Walk, name: str, payload: Any) -> None:
    step = walk.step(name)
    if walk.saga.ended or walk.saga.failing:
        walk.refuse("it has ended" if walk.saga.ended else "it is being compensated")
    elif name not in walk.definition.signals:
        known = ", ".join(walk.definition.signals) or "none"
        walk.refuse(f"it waits for no signal {name!r} (it has: {known})")
    elif step.dormant or step.stuck:  # stuck on a signal that its function refused: this one takes its place
        walk.record("signal_received", name, payload=payload)
        _confirm(walk, name, payload)
    elif step.phase in (Phase.WAITING, Phase.ACTING) and name not in walk.saga.signals:
        walk.record("signal_received", name, payload=payload, early=True)
        walk.change(signals={**walk.saga.signals, name: payload})
    elif step.phase is Phase.SKIPPED:
        walk.refuse(f"its step {name!r} was left out")
    else:
        walk.refuse(f"the signal {name!r} has come already")


def _confirm(walk: Walk, name: str, payload: Any) -> None:
    """The reply or the signal is there: its function, if it has one, has the last word."""
    step, node = walk.step(name), walk.node(name)
    if node.calls_back:
        walk.put(name, phase=Phase.CONFIRMING, awaited=None, until=None, dormant=False, stuck=False, reply=payload)
        walk.call(UserCode.ON_SUCCESS, name, step.attempt, payload)
    elif node.work is Work.SIGNAL:
        _done(walk, name)
    else:
        walk.settle(name, Phase.DONE, failure=None)


def waited_long_enough(walk: Walk, name: str) -> None:
    """The time of a sleep is over, or that of waiting for a signal."""
    node = walk.node(name)
    if node.work is Work.SLEEP:
        _done(walk, name)
        return
    failure = Failure("SignalTimeout", f"no signal {name!r} came within {node.timeout_seconds:g} seconds")
    if walk.past_no_return():
        walk.get_stuck(name, failure)
        return
    walk.record("step_failed", name, walk.step(name).attempt, failure=failure.to_json())
    walk.settle(name, Phase.FAILED if node.undo is Undo.NOTHING else Phase.UNKNOWN, failure=failure)
    backward.turn(walk, name, failure)


# ---- replies and failures ----------------------------------------------------------------------------------------


def answered(walk: Walk, name: str, payload: Any) -> None:
    walk.record("reply_received", name, walk.step(name).attempt, payload=payload)
    backward.go_on_if_decided(walk, name)
    _confirm(walk, name, payload)


def failed(walk: Walk, name: str, failure: Failure) -> None:
    node, step = walk.node(name), walk.put(name, awaited=None, stuck=False, failure=failure)
    retriable, transient = node.kind is StepKind.RETRIABLE, failure.kind is FailureKind.TRANSIENT
    tries = step.attempt - step.forgiven
    if (retriable or (transient and not walk.saga.failing)) and node.retry.allows_another_after(tries):
        retry_at = walk.now + node.retry.delay_seconds_after(tries)
        walk.put(name, retry_at=retry_at)
        walk.record("retry_scheduled", name, step.attempt, at=retry_at, failure=failure.to_json())
    elif retriable or walk.past_no_return():
        walk.get_stuck(name, failure)
    else:
        walk.settle(name, Phase.FAILED)
        walk.record("step_failed", name, step.attempt, failure=failure.to_json())
        if node.tells_failure:
            walk.call(UserCode.ON_FAILURE, name, step.attempt, failure)
        backward.turn(walk, name, failure)


def refused_by_callback(walk: Walk, name: str, attempt: int, failure: Failure) -> None:
    """The function that was given the reply or the signal raised."""
    if walk.past_no_return():
        walk.get_stuck(name, failure)  # the reply stays in the state: the operator's retry runs the callback again
        return
    walk.record("step_failed", name, attempt, failure=failure.to_json())
    walk.settle(name, Phase.DONE, failure=failure)  # the participant did its work: it is undone with the others
    backward.turn(walk, name, failure)
