"""Performing what the engine decides: user code is called, and what it returns or raises goes back in."""

from __future__ import annotations

from collections import deque
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from typing import Any

from sqlalchemy.orm import Session

from sagas_framework.engine.protocol import (
    Answer,
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
)
from sagas_framework.engine.transition import cause_of, transition
from sagas_framework.engine.walk import Cause, Identity
from sagas_framework.events.publishing import Announce
from sagas_framework.orchestrator.calls import call_user_code
from sagas_framework.orchestrator.instance import Instance, Work
from sagas_framework.storage.database import check_deferred_constraints
from sagas_framework.storage.instances import HistoryRow
from sagas_framework.storage.weather import is_bad_weather
from sagas_framework.transport.wire import OutgoingMessage, command_message, reply_message
from sagas_framework.vocabulary.command import Failure
from sagas_framework.vocabulary.correlation import HEADER, Correlation
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

    def __init__(
        self, orchestrator: str, instance: Instance, session: Session, care: Care, announce: Announce | None = None
    ) -> None:
        self._orchestrator = orchestrator
        self._instance = instance
        self._session = session
        self._care = care
        self._announce = announce
        self._cause = Cause()
        self.work = Work()
        self.refused: Refuse | None = None
        self.foreign: Foreign | None = None

    def run(self, entry: Input) -> None:
        instance, self._cause = self._instance, cause_of(entry)
        identity = Identity(self._orchestrator, instance.id)
        inputs: deque[Input] = deque([entry])
        while inputs:
            step = transition(instance.definition, identity, instance.state, inputs.popleft(), self._cause)
            instance.changed |= step.state != instance.state
            instance.state = step.state
            for effect in step.effects:
                if isinstance(effect, Call):
                    inputs.append(self._call(effect, entry.now))
                else:
                    self._perform(effect, entry.now)

    def _perform(self, effect: Publish | Dispatch | Answer | Record | Stale | Foreign | Refuse, now: float) -> None:
        if isinstance(effect, Record):
            row = HistoryRow(self._instance.id, now, effect.event, effect.step, effect.attempt, effect.detail)
            self.work.history.append(row)
        elif isinstance(effect, Publish):
            self.work.outgoing.append(self._command_of(effect))
            if effect.again:
                self.work.asked_again.setdefault(self._instance.id, set()).add(effect.message_id)
        elif isinstance(effect, Dispatch):
            self.work.outbox.append(self._unawaited(effect))
        elif isinstance(effect, Answer):
            # A message that led to it would tell it again. Time does not come again, and an operator sends nothing.
            led_to_it = self._cause.reply is not None
            (self.work.outgoing if led_to_it else self.work.outbox).append(self._answer(effect))
        elif isinstance(effect, Stale):
            self._instance.stale_replies += 1
        elif isinstance(effect, Foreign):
            self.foreign = effect
        else:
            self.refused = effect

    def _command_of(self, effect: Publish) -> OutgoingMessage:
        return self._message(effect, effect.message_id, self._instance.definition.response_queue, again=effect.again)

    def _unawaited(self, effect: Dispatch) -> OutgoingMessage:
        place = (self._orchestrator, self._instance.id, effect.step, effect.direction, effect.attempt)
        return self._message(effect, message_id(*place), None)

    def _message(
        self, effect: Publish | Dispatch, id_: str, reply_queue: str | None, again: bool = False
    ) -> OutgoingMessage:
        node = self._instance.definition.nodes[effect.step]
        undoing = effect.direction is Direction.COMPENSATION
        command = node.undo_command if undoing else node.command
        assert command is not None
        correlation = Correlation(
            self._orchestrator,
            self._instance.id,
            effect.step,
            effect.direction,
            effect.attempt,
            reply_queue=reply_queue,
            again=again,
            unconditional=undoing and node.compensated_elsewhere,
        )
        return command_message(command, id_, effect.payload, correlation)

    def _answer(self, effect: Answer) -> OutgoingMessage:
        """To the saga whose step this one is."""
        asked = effect.asked
        place = Correlation.from_headers({HEADER: asked.place})
        assert place is not None and place.reply_queue is not None
        answer = self._instance.encoded_data() if effect.failure is None else effect.failure
        return reply_message(asked.task, place.reply_queue, place.saga, asked.message_id, answer, place)

    # ---- user code --------------------------------------------------------------------------------------------

    def _call(self, call: Call, now: float) -> Returned | Raised:
        before = self._instance.encoded_data() if self._care is Care.SAVEPOINTS else None
        try:
            with self._savepoint():
                value = call_user_code(call, self._instance, self._session, self._announce)
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
