"""A small world round the engine: user code that raises when told, participants with the real barrier, a network
that loses, repeats and reorders. What must hold after every single transition is checked here, see `always`."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from sagas_framework import Failure, SagaStatus
from sagas_framework.definition.graph import Definition, Undo, Work
from sagas_framework.engine import protocol
from sagas_framework.engine.clock import next_due
from sagas_framework.engine.protocol import (
    Call,
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
    Signal,
    Stale,
    Start,
    Tick,
    UserCode,
)
from sagas_framework.engine.state import SagaState
from sagas_framework.engine.transition import cause_of, transition
from sagas_framework.engine.walk import Identity
from sagas_framework.participant import barrier
from sagas_framework.participant.barrier import Answer
from sagas_framework.storage.memory import Memory
from sagas_framework.vocabulary.command import FailureKind
from sagas_framework.vocabulary.identity import Direction, message_id
from tests.unit.engine.always import Order, check, check_at_rest

IDENTITY = Identity("world", "01920000-0000-7000-8000-000000000001")
REFUSED = Answer(failure=Failure("Refused", "no", kind=FailureKind.REFUSED))
TRANSIENT = Answer(failure=Failure("Busy", "not now", kind=FailureKind.TRANSIENT))
OUTCOMES = (Answer({"ok": True}), REFUSED, TRANSIENT)
SUCCEEDS = OUTCOMES[0]
LONGEST_DRIVE = 1_000

Raises = Callable[[Call], bool]


def never(call: Call) -> bool:
    return False


@dataclass(frozen=True)
class Sent:
    """A command on the network; `awaited` is False for what nobody waits for."""

    step: str
    direction: Direction
    attempt: int
    message_id: str
    awaited: bool = True


class World:
    """`taste` decides what choices choose and how long sleeps are."""

    def __init__(self, definition: Definition, taste: int = 0, identity: Identity = IDENTITY) -> None:
        self.definition = definition
        self.identity = identity
        self.state = SagaState()
        self.now = 1_000.0
        self.commands: list[Sent] = []  # all that ever travelled: any of them may be delivered again
        self.replies: list[tuple[str, Answer]] = []
        self.answers: list[protocol.Answer] = []  # to the saga whose child this one is
        self.memory: dict[str, Memory] = {}
        self.log: list[tuple[str, str]] = []  # ("do" | "undo", step), as the world really changed
        self.hooks_returned: Counter[UserCode] = Counter()
        self.payloads: dict[str, tuple[Sent, Any]] = {}
        self._taste = taste
        self._order = Order(definition)

    # ---- the orchestrator -----------------------------------------------------------------------------------------

    def give(self, entry: Input, raises: Raises = never) -> list[Effect]:
        """One input with all that follows from it, as orchestrator.chain does it."""
        cause, inputs, seen = cause_of(entry), deque([entry]), list[Effect]()
        while inputs:
            given = inputs.popleft()
            before = self.state
            step = transition(self.definition, self.identity, before, given, cause)
            assert step == transition(self.definition, self.identity, before, given, cause), "the engine is not pure"
            self.state = step.state
            check(self.definition, self._order, before, given, step)
            seen += step.effects
            for effect in step.effects:
                if isinstance(effect, Call):
                    inputs.append(self._call(effect, raises))
                else:
                    self._send(effect)
        check_at_rest(self.definition, self._order, self.state)
        return seen

    def _call(self, call: Call, raises: Raises) -> Input:
        if raises(call):
            kind = FailureKind.TRANSIENT if self._is_transient(call) else FailureKind.ERROR
            return Raised(self.now, call, Failure("UserError", "told to", kind=kind))
        if call.code in (UserCode.SAGA_SUCCESS, UserCode.SAGA_FAILURE):
            self.hooks_returned[call.code] += 1
        if call.step is not None:
            node = self.definition.nodes[call.step]
            if call.code is UserCode.ACTION and node.command is None:
                self._happened("do", call.step)
            if call.code is UserCode.COMPENSATION and node.undo is Undo.LOCAL:
                self._happened("undo", call.step)
        return Returned(self.now, call, self._value(call))

    def _is_transient(self, call: Call) -> bool:
        return call.attempt % 2 == 1

    def _value(self, call: Call) -> Any:
        node = self.definition.nodes[call.step or next(iter(self.definition.nodes))]
        if call.code is UserCode.ACTION and node.work is Work.CHOICE:
            labels = sorted(node.branches or ())
            return labels[self._hash(call) % len(labels)]
        if call.code is UserCode.ACTION and node.work is Work.SLEEP:
            return float(self._hash(call) % 3) * 10
        return {"payload of": call.step, "attempt": call.attempt, "argument": call.argument}

    def _hash(self, call: Call) -> int:
        return sum(map(ord, call.step or "")) + self._taste

    def _happened(self, what: str, step: str) -> None:
        # Whose time is over is asked to wait once more by an operator's retry: that is not done twice.
        if self.definition.nodes[step].work is not Work.SIGNAL or (what, step) not in self.log:
            self.log.append((what, step))

    def _send(self, effect: Effect) -> None:
        if isinstance(effect, Publish):
            sent = Sent(effect.step, effect.direction, effect.attempt, effect.message_id)
            known = self.payloads.setdefault(effect.message_id, (sent, effect.payload))
            assert known == (sent, effect.payload), "one message id stands for two messages"
            self.commands.append(sent)
        elif isinstance(effect, Dispatch):
            place = (effect.step, effect.direction, effect.attempt)
            self.commands.append(
                Sent(*place, message_id(self.identity.orchestrator, self.identity.saga_id, *place), False)
            )
        elif isinstance(effect, protocol.Answer):
            self.answers.append(effect)

    # ---- the participants -----------------------------------------------------------------------------------------

    def deliver_command(self, sent: Sent, outcome: Answer) -> None:
        memory = self.memory.get(sent.step, Memory())
        node = self.definition.nodes[sent.step]
        told = node.command is None  # a local action: the participant has never heard of it
        decision = barrier.decide(memory, sent.direction, sent.attempt, unconditional=told)
        answer, changes = decision.answer, decision.changes or {}
        if answer is None:
            answer = outcome
            changes = barrier.changes_of(sent.direction, sent.attempt, answer)
            local_undo = sent.direction is Direction.COMPENSATION and node.undo is Undo.LOCAL
            if answer.failure is None and not local_undo:
                self._happened("do" if sent.direction is Direction.ACTION else "undo", sent.step)
        self.memory[sent.step] = replace(memory, **changes)
        if sent.awaited:
            self.replies.append((sent.message_id, answer))

    def awaited(self) -> list[str]:
        return [step.awaited.message_id for step in self.state.steps.values() if step.awaited]

    def deliver_reply(
        self, in_reply_to: str, answer: Answer, redelivered: bool, raises: Raises = never
    ) -> list[Effect]:
        before, awaited = self.state, in_reply_to in self.awaited()
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
        told = [effect for effect in effects[1:] if isinstance(effect, protocol.Answer)]
        assert len(sent) + len(told) == len(effects) - 1 and (redelivered or not told)
        assert set(sent) == (caused if redelivered else set()), "it re-sends what it caused, and no other"

    # ---- to the end -----------------------------------------------------------------------------------------------

    def begin(self, raises: Raises = never) -> None:
        self.give(Start(self.now), raises)

    def drive(self) -> None:
        """From here on everybody behaves: whatever happened before, the saga comes to its end."""
        for _ in range(LONGEST_DRIVE):
            if self.state.ended:
                return
            self.drive_on()
        raise AssertionError(f"no end in sight: {self.state}")

    def drive_on(self, but_not: Collection[Sent] = ()) -> None:
        """One thing more. `but_not`: commands that somebody else answers."""
        if self.state.paused:
            self.give(Resume(self.now, "drive"))
        elif not (self._answer_what_is_awaited(but_not) or self._signal_who_waits()):
            self._let_time_pass()

    def _answer_what_is_awaited(self, but_not: Collection[Sent]) -> bool:
        stuck = {step.awaited.message_id for step in self.state.steps.values() if step.awaited and step.stuck}
        awaited = {*self.awaited()} - stuck
        sent = next(
            (command for command in self.commands if command.message_id in awaited and command not in but_not), None
        )
        if sent is None:
            return False
        self.deliver_command(sent, SUCCEEDS)
        self.deliver_reply(*self.replies[-1], redelivered=False)
        return True

    def _signal_who_waits(self) -> bool:
        waiting = (name for name in self.definition.signals if name in self.state.steps)
        name = next((name for name in waiting if self.state.steps[name].dormant), None)
        if name is not None:
            self.give(Signal(self.now, name, {"from": "drive"}))
        return name is not None

    def _let_time_pass(self) -> None:
        due = next_due(self.definition, self.state)
        if self.state.status is SagaStatus.NEEDS_ATTENTION:
            self.give(Retry(self.now, "drive"))
        else:
            assert due is not None, f"it waits for nothing: {self.state}"
            self.now = max(self.now, due)
            self.give(Tick(self.now))
