"""Calling an application's functions: the only place that does. What they are given, and what they may return."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from sqlalchemy.orm import Session

from sagas_framework.definition.graph import Node
from sagas_framework.definition.steps import AsyncStep, Send, Sleep, StepContext, WaitForSignal
from sagas_framework.definition.structure import OTHERWISE, Choice
from sagas_framework.definition.values import MAX_SECONDS
from sagas_framework.engine.protocol import Call, UserCode
from sagas_framework.errors import DefinitionError, InsideAStep
from sagas_framework.events.publishing import Announce
from sagas_framework.orchestrator.instance import Instance
from sagas_framework.vocabulary import codec

_running: ContextVar[str | None] = ContextVar("the step whose function runs", default=None)


def refuse_inside_a_step(called: str) -> None:
    """What waits for a saga's row must not be called by who holds one."""
    step = _running.get()
    if step is not None:
        raise InsideAStep(called, step)


def call_user_code(call: Call, instance: Instance, session: Session, announce: Announce | None) -> Any:
    """What the engine wants to know of it: a payload to send, the branch chosen, the seconds to sleep."""
    before = _running.set(call.step or call.code.value)
    try:
        return _called(call, instance, session, announce)
    finally:
        _running.reset(before)


def _called(call: Call, instance: Instance, session: Session, announce: Announce | None) -> Any:
    undoes = call.argument if call.code is UserCode.COMPENSATION else None
    context = StepContext(instance.id, call.step or "", call.attempt, session, undoes, announce)
    data = instance.lend_data()
    if call.code is UserCode.SAGA_SUCCESS:
        return _keep(instance, None, instance.definition.saga().on_saga_success(data, context), "on_saga_success")
    if call.code is UserCode.SAGA_FAILURE:
        saga = instance.definition.saga()
        return _keep(instance, None, saga.on_saga_failure(data, call.argument, context), "on_saga_failure")
    if call.code is UserCode.COMPENSATION_FAILURE:
        return instance.definition.saga().on_compensation_failure(data, call.argument, context)
    assert call.step is not None
    node = instance.definition.nodes[call.step]
    seen = data if node.view is None else _part(node.view, data, call.step)
    if call.code is UserCode.ACTION:
        return _act(node, instance, seen, context)
    if call.code is UserCode.COMPENSATION:
        return _compensate(node, instance, seen, context)
    if call.code is UserCode.ON_FAILURE and isinstance(node.step, AsyncStep) and node.step.on_failure is not None:
        return _keep(instance, node, node.step.on_failure(seen, call.argument, context), context.step)
    return _confirm(node, instance, seen, call.argument, context)


def _part(view: Callable[[Any], Any], data: Any, step: str) -> Any:
    part = view(data)
    if view(data) is not part:
        raise DefinitionError(
            "`data` of include(...) made a new object; it must return a part of the saga's data, the same object every "
            "time: what a step changes in another one is lost",
            step=step,
        )
    return part


def _act(node: Node, instance: Instance, data: Any, context: StepContext) -> Any:
    step = node.step
    if isinstance(step, AsyncStep):
        return step.command.encode_payload(step.action(data, context))
    if isinstance(step, Choice):
        return next((branch.label for branch in step.branches if branch.condition(data, context)), OTHERWISE)
    if isinstance(step, Sleep):
        return _seconds(step, data, context)
    if step is not None and step.action is not None:
        _keep(instance, node, step.action(data, context), step.name)
    return None


def _seconds(step: Sleep, data: Any, context: StepContext) -> float:
    seconds = step.seconds(data, context) if callable(step.seconds) else step.seconds
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= MAX_SECONDS:
        raise DefinitionError(f"it is to sleep for a number of seconds, not for {seconds!r}", step=step.name)
    return float(seconds)


def _compensate(node: Node, instance: Instance, data: Any, context: StepContext) -> Any:
    compensation = node.compensation
    if isinstance(compensation, Send):
        return compensation.command.encode_payload(compensation.payload(data, context))
    _keep(instance, node, compensation(data, context), context.step)
    return None


def _confirm(node: Node, instance: Instance, data: Any, answer: Any, context: StepContext) -> None:
    step = node.step
    if isinstance(step, AsyncStep) and step.on_success is not None:
        _keep(instance, node, step.on_success(data, step.command.decode_response(answer), context), context.step)
    elif isinstance(step, WaitForSignal) and step.on_signal is not None:
        signalled = codec.decode(step.payload, answer, f"signal {step.name}")
        _keep(instance, node, step.on_signal(data, signalled, context), context.step)


def _keep(instance: Instance, node: Node | None, returned: Any, step: str) -> None:
    """A function may return the saga's new data. Anything else would be thrown away: mostly somebody meant to send it.

    A plain dictionary is not taken for data: it may as well be a payload.
    """
    if returned is None:
        return
    data_type = instance.definition.data_type
    if node is not None and node.view is not None:
        raise DefinitionError(
            f"a function returned {type(returned).__name__}; with include(data=...), functions of included steps "
            "change their part of the data in place and return nothing",
            step=step,
        )
    if data_type is not dict and isinstance(returned, data_type):
        instance.replace_data(returned)
        return
    raise DefinitionError(
        f"a local function returned {type(returned).__name__}, which nobody would send; "
        "write compensation=send(command, function) to send a command",
        step=step,
    )
