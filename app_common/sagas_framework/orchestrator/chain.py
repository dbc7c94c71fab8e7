"""Performing what the engine decides: user code is called, and what it returns or raises goes back in.

The only place that calls an application's steps.
"""

from __future__ import annotations

from collections import deque
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from typing import Any

from sqlalchemy.orm import Session

from sagas_framework.definition.steps import AsyncStep, Send, Step, StepContext
from sagas_framework.engine.protocol import (
    Call,
    Dispatch,
    Foreign,
    Input,
    Publish,
    Raised,
    Record,
    Refuse,
    Returned,
    Stale,
    UserCode,
)
from sagas_framework.engine.transition import cause_of, transition
from sagas_framework.engine.walk import Identity
from sagas_framework.errors import DefinitionError
from sagas_framework.orchestrator.instance import Instance, Work
from sagas_framework.storage.database import check_deferred_constraints, is_bad_weather
from sagas_framework.storage.instances import HistoryRow
from sagas_framework.transport.wire import OutgoingMessage, command_message
from sagas_framework.vocabulary.command import Command, Failure
from sagas_framework.vocabulary.correlation import Correlation
from sagas_framework.vocabulary.identity import Direction, message_id


class CareNeeded(Exception):
    """User code raised in a transaction without savepoints: what it wrote can only be undone with the whole batch."""


class Care(Enum):
    """What happens when user code raises."""

    FAST = "the batch is rolled back and run again carefully"
    SAVEPOINTS = "its writes are undone and the failure goes to the engine"
    CALLER = "the caller of start() gets the exception"


class Chain:
    """One input with everything that follows from it, for one instance, inside one transaction."""

    def __init__(self, orchestrator: str, instance: Instance, session: Session, care: Care) -> None:
        self._orchestrator = orchestrator
        self._instance = instance
        self._session = session
        self._care = care
        self.work = Work()
        self.refused: Refuse | None = None
        self.foreign: Foreign | None = None

    def run(self, entry: Input) -> None:
        instance, cause = self._instance, cause_of(entry)
        identity = Identity(self._orchestrator, instance.id)
        inputs: deque[Input] = deque([entry])
        while inputs:
            step = transition(instance.definition, identity, instance.state, inputs.popleft(), cause)
            instance.changed |= step.state != instance.state
            instance.state = step.state
            for effect in step.effects:
                if isinstance(effect, Call):
                    inputs.append(self._call(effect, entry.now))
                else:
                    self._perform(effect, entry.now)

    def _perform(self, effect: Publish | Dispatch | Record | Stale | Foreign | Refuse, now: float) -> None:
        if isinstance(effect, Record):
            row = HistoryRow(self._instance.id, now, effect.event, effect.step, effect.attempt, effect.detail)
            self.work.history.append(row)
        elif isinstance(effect, Publish):
            self.work.outgoing.append(self._command_of(effect))
            if effect.again:
                self.work.asked_again.setdefault(self._instance.id, set()).add(effect.message_id)
        elif isinstance(effect, Dispatch):
            self.work.unawaited.append(self._unawaited(effect))
        elif isinstance(effect, Stale):
            self._instance.stale_replies += 1
        elif isinstance(effect, Foreign):
            self.foreign = effect
        else:
            self.refused = effect

    def _command_of(self, effect: Publish) -> OutgoingMessage:
        instance = self._instance
        step = instance.definition.nodes[effect.step].step
        compensation = step.compensation
        if effect.direction is Direction.ACTION:
            assert isinstance(step, AsyncStep)
            command = step.command
        else:
            assert isinstance(compensation, Send)
            command = compensation.command
        correlation = Correlation(
            self._orchestrator,
            instance.id,
            effect.step,
            effect.direction,
            effect.attempt,
            reply_queue=instance.definition.response_queue,
            again=effect.again,
            unconditional=effect.direction is Direction.COMPENSATION and _stands_alone(step, command),
        )
        return command_message(command, effect.message_id, effect.payload, correlation)

    def _unawaited(self, effect: Dispatch) -> OutgoingMessage:
        step = self._instance.definition.nodes[effect.step].step
        assert isinstance(step.compensation, Send)
        command = step.compensation.command
        place = (self._orchestrator, self._instance.id, effect.step, Direction.COMPENSATION, effect.attempt)
        correlation = Correlation(*place, unconditional=_stands_alone(step, command))
        return command_message(command, message_id(*place), effect.payload, correlation)

    # ---- user code --------------------------------------------------------------------------------------------

    def _call(self, call: Call, now: float) -> Returned | Raised:
        before = self._instance.encoded_data() if self._care is Care.SAVEPOINTS else None
        try:
            with self._savepoint():
                value = self._user_code(call)
                self._session.flush()
                if self._care is Care.SAVEPOINTS:
                    check_deferred_constraints(self._session)
                self._instance.encoded_data()  # data that cannot be stored fails the step that made it so
                return Returned(now, call, value)
        except Exception as error:
            if self._care is Care.CALLER or is_bad_weather(error):
                raise
            if self._care is Care.FAST:
                raise CareNeeded from error
            self._instance.reset_data(before)
            return Raised(now, call, Failure.of(error))

    def _savepoint(self) -> AbstractContextManager[Any]:
        return self._session.begin_nested() if self._care is Care.SAVEPOINTS else nullcontext()

    def _user_code(self, call: Call) -> Any:
        instance = self._instance
        context = StepContext(instance.id, call.step or "", call.attempt, self._session)
        data = instance.lend_data()
        if call.code is UserCode.SAGA_SUCCESS:
            return instance.definition.saga().on_saga_success(data, context)
        if call.code in (UserCode.SAGA_FAILURE, UserCode.COMPENSATION_FAILURE):
            return getattr(instance.definition.saga(), call.code.value)(data, call.argument, context)
        assert call.step is not None
        step = instance.definition.nodes[call.step].step
        if call.code is UserCode.COMPENSATION:
            return _compensation(step.compensation, data, context)
        if not isinstance(step, AsyncStep):
            return _nothing(step.action(data, context) if step.action is not None else None, call.step)
        if call.code is UserCode.ACTION:
            return step.command.encode_payload(step.action(data, context))
        if call.code is UserCode.ON_SUCCESS and step.on_success is not None:
            return step.on_success(data, step.command.decode_response(call.argument), context)
        if call.code is UserCode.ON_FAILURE and step.on_failure is not None:
            return step.on_failure(data, call.argument, context)
        return None


def _compensation(compensation: Any, data: Any, context: StepContext) -> Any:
    if isinstance(compensation, Send):
        return compensation.command.encode_payload(compensation.payload(data, context))
    return _nothing(compensation(data, context), context.step)


def _nothing(returned: Any, step: str) -> None:
    """What a local function returns would be thrown away: mostly somebody meant to send it."""
    if returned is not None:
        problem = f"a local function returned {type(returned).__name__}, which nobody would send"
        raise DefinitionError(f"{problem}; write compensation=send(command, function) to send a command", step=step)


def _stands_alone(step: Step, compensation: Command) -> bool:
    """Whether who compensates has never heard of the action: it was local, or a command to another participant."""
    return not (isinstance(step, AsyncStep) and step.command.queue == compensation.queue)
