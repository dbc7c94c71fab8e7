"""A small world round the engine: user code that raises when told, participants with the real barrier, a network
that loses, repeats and reorders. Everything that must hold after every single transition is checked here."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sagas_framework import Failure, SagaStatus
from sagas_framework.definition.graph import Definition, Undo
from sagas_framework.definition.steps import StepKind
from sagas_framework.engine.clock import next_due
from sagas_framework.engine.protocol import (
    Call,
    Confirmed,
    Dispatch,
    Effect,
    Foreign,
    Input,
    Publish,
    Raised,
    Reply,
    Resume,
    Retry,
    Returned,
    Stale,
    Start,
    Tick,
    UserCode,
)
from sagas_framework.engine.state import Phase, SagaState, StepState
from sagas_framework.engine.transition import Transition, cause_of, transition
from sagas_framework.engine.walk import Identity
from sagas_framework.participant import barrier
from sagas_framework.participant.barrier import Answer
from sagas_framework.storage.memory import Memory
from sagas_framework.vocabulary.command import FailureKind
from sagas_framework.vocabulary.identity import Direction, message_id

IDENTITY = Identity("world", "01920000-0000-7000-8000-000000000001")
REFUSED = Answer(failure=Failure("Refused", "no", kind=FailureKind.REFUSED))
TRANSIENT = Answer(failure=Failure("Busy", "not now", kind=FailureKind.TRANSIENT))
OUTCOMES = (Answer({"ok": True}), REFUSED, TRANSIENT)
SUCCEEDS = OUTCOMES[0]
LONGEST_DRIVE = 400
_LOOKS_ONLY = (Tick, Confirmed, Retry, Resume)


@dataclass(frozen=True)
class Sent:
    """A command on the network; `awaited` is False for what nobody waits for."""

    step: str
    direction: Direction
    attempt: int
    message_id: str
    awaited: bool = True


class World:
    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.state = SagaState()
        self.now = 1_000.0
        self.commands: list[Sent] = []  # all that ever travelled: any of them may be delivered again
        self.replies: list[tuple[str, Answer]] = []
        self.memory: dict[str, Memory] = {}
        self.log: list[tuple[str, str]] = []  # ("do" | "undo", step), as the world really changed
        self.hooks_returned: Counter[UserCode] = Counter()
        self.payloads: dict[str, tuple[Sent, Any]] = {}

    # ---- the orchestrator -----------------------------------------------------------------------------------------

    def give(self, entry: Input, raises: Callable[[Call], bool] = lambda call: False) -> list[Effect]:
        """One input with all that follows from it, as orchestrator.chain does it."""
        cause, inputs, seen = cause_of(entry), deque([entry]), list[Effect]()
        while inputs:
            given = inputs.popleft()
            before = self.state
            step = transition(self.definition, IDENTITY, before, given, cause)
            assert step == transition(self.definition, IDENTITY, before, given, cause), "the engine is not pure"
            self.state = step.state
            self._check(before, given, step)
            seen += step.effects
            for effect in step.effects:
                if isinstance(effect, Call):
                    inputs.append(self._call(effect, raises))
                elif isinstance(effect, Publish):
                    self._publish(effect)
                elif isinstance(effect, Dispatch):
                    sent = message_id(IDENTITY.orchestrator, IDENTITY.saga_id, effect.step, Direction.COMPENSATION, 1)
                    self.commands.append(Sent(effect.step, Direction.COMPENSATION, effect.attempt, sent, False))
        return seen

    def _call(self, call: Call, raises: Callable[[Call], bool]) -> Input:
        if raises(call):
            kind = FailureKind.TRANSIENT if call.attempt % 2 else FailureKind.ERROR
            return Raised(self.now, call, Failure("UserError", "told to", kind=kind))
        if call.code in (UserCode.SAGA_SUCCESS, UserCode.SAGA_FAILURE):
            self.hooks_returned[call.code] += 1
        if call.step is not None:
            node = self.definition.nodes[call.step]
            if call.code is UserCode.ACTION and not node.remote:
                self.log.append(("do", call.step))
            if call.code is UserCode.COMPENSATION and node.undo is Undo.LOCAL:
                self.log.append(("undo", call.step))
        return Returned(self.now, call, {"payload of": call.step, "attempt": call.attempt})

    def _publish(self, effect: Publish) -> None:
        sent = Sent(effect.step, effect.direction, effect.attempt, effect.message_id)
        known = self.payloads.setdefault(effect.message_id, (sent, effect.payload))
        assert known == (sent, effect.payload), "one message id stands for two messages"
        self.commands.append(sent)

    # ---- the participants -----------------------------------------------------------------------------------------

    def deliver_command(self, sent: Sent, outcome: Answer) -> None:
        memory = self.memory.get(sent.step, Memory())
        told = not self.definition.nodes[sent.step].remote  # a local action: the participant has never heard of it
        decision = barrier.decide(memory, sent.direction, sent.attempt, unconditional=told)
        answer, changes = decision.answer, decision.changes or {}
        if answer is None:
            answer = outcome
            changes = barrier.changes_of(sent.direction, sent.attempt, answer)
            node = self.definition.nodes[sent.step]
            local_undo = sent.direction is Direction.COMPENSATION and node.undo is Undo.LOCAL
            if answer.failure is None and not local_undo:
                self.log.append(("do" if sent.direction is Direction.ACTION else "undo", sent.step))
        self.memory[sent.step] = replace(memory, **changes)
        if sent.awaited:
            self.replies.append((sent.message_id, answer))

    def deliver_reply(
        self, in_reply_to: str, answer: Answer, redelivered: bool, raises: Callable[[Call], bool] = lambda call: False
    ) -> list[Effect]:
        before = self.state
        awaited = any(s.awaited and s.awaited.message_id == in_reply_to for s in before.steps.values())
        reply = Reply(
            self.now,
            in_reply_to,
            answer.failure is None,
            payload=answer.value,
            failure=answer.failure,
            redelivered=redelivered,
        )
        effects = self.give(reply, raises)
        if not awaited:
            self._changed_nothing(before, effects, in_reply_to, redelivered)
        again = self.give(reply)  # the same once more
        self._changed_nothing(self.state, again, in_reply_to, redelivered)
        return effects

    def _changed_nothing(self, before: SagaState, effects: list[Effect], answered: str, redelivered: bool) -> None:
        assert self.state == before, "a duplicate changed the state"
        assert effects[:1] == [Stale()] or isinstance(effects[0], Foreign)
        caused = {s.awaited.message_id for s in before.steps.values() if s.awaited and s.awaited.caused_by == answered}
        sent = [effect.message_id for effect in effects[1:] if isinstance(effect, Publish)]
        assert len(sent) == len(effects) - 1
        assert set(sent) == (caused if redelivered else set()), "it re-sends what it caused, and no other"

    # ---- what must hold after every transition --------------------------------------------------------------------

    def _check(self, before: SagaState, given: Input, step: Transition) -> None:
        state = step.state
        assert SagaState.from_json(json.loads(json.dumps(state.to_json()))) == state, "the state does not survive JSON"
        due = next_due(self.definition, state)
        waits = any(s.awaited or s.retry_at is not None for s in state.steps.values())
        if waits and not state.paused and not state.ended:
            assert due is not None, "nobody would ever look at it again"
        troubled = bool(state.overdue or state.closing_failure or any(s.stuck for s in state.steps.values()))
        if not state.ended:
            assert troubled == (state.status is SagaStatus.NEEDS_ATTENTION)
        for name, after in state.steps.items():
            self._check_step(name, before.steps.get(name, StepState(Phase.WAITING)), after, given)
        if before.ended:
            assert state == before, "an ended saga changed"

    def _check_step(self, name: str, was: StepState, after: StepState, given: Input) -> None:
        assert not (after.awaited and after.retry_at is not None)
        assert not (after.stuck and (after.awaited or after.retry_at is not None))
        if was.awaited is not None and isinstance(given, _LOOKS_ONLY):  # silence
            assert after.attempt == was.attempt
            if after.awaited is None or after.phase is not was.phase:
                assert self.definition.nodes[name].may_give_up and was.phase is Phase.ACTING
            else:
                assert after.undo_attempt == was.undo_attempt
                assert after.awaited.message_id == was.awaited.message_id
        if was.phase in (Phase.UNDONE, Phase.FAILED):
            assert after.phase is was.phase, f"{name} began again after its end"
        pivoted = any(
            self.definition.nodes[n].kind is StepKind.PIVOT and s.phase is Phase.DONE
            for n, s in self.state.steps.items()
        )
        if pivoted:
            assert after.phase not in (Phase.UNDOING, Phase.UNDONE), "undone after the pivot had succeeded"

    # ---- to the end -----------------------------------------------------------------------------------------------

    def drive(self) -> None:
        """From here on everybody behaves: whatever happened before, the saga comes to its end."""
        for _ in range(LONGEST_DRIVE):
            if self.state.ended:
                return
            if self.state.paused:
                self.give(Resume(self.now, "drive"))
            elif not self._answer_what_is_awaited():
                self._let_time_pass()
        raise AssertionError(f"no end in sight: {self.state}")

    def _answer_what_is_awaited(self) -> bool:
        awaited = {s.awaited.message_id for s in self.state.steps.values() if s.awaited}
        sent = next((command for command in self.commands if command.message_id in awaited), None)
        if sent is None:
            return False
        self.deliver_command(sent, SUCCEEDS)
        self.deliver_reply(*self.replies[-1], redelivered=False)
        return True

    def _let_time_pass(self) -> None:
        due = next_due(self.definition, self.state)
        if self.state.status is SagaStatus.NEEDS_ATTENTION:
            self.give(Retry(self.now, "drive"))
        else:
            assert due is not None, f"it waits for nothing: {self.state}"
            self.now = max(self.now, due)
            self.give(Tick(self.now))

    def begin(self, raises: Callable[[Call], bool] = lambda call: False) -> None:
        self.give(Start(self.now), raises)
