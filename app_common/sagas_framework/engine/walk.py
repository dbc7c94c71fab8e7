"""One transition in the making: a working copy of the state, the effects so far, and the tools to change both.

The moves over the graph are made of these: `forward` begins and settles steps, `backward` undoes them, `going_on`
says what is next.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from sagas_framework.definition.graph import Definition, Node
from sagas_framework.definition.steps import StepKind
from sagas_framework.engine.protocol import Call, Effect, Publish, Record, Refuse, UserCode
from sagas_framework.engine.state import Awaited, Phase, SagaState, SagaStatus, StepState
from sagas_framework.vocabulary.command import Failure
from sagas_framework.vocabulary.identity import Direction, message_id

_UNTOUCHED = StepState(Phase.WAITING)
_LEFT_OUT = StepState(Phase.SKIPPED)


@dataclass(frozen=True)
class Identity:
    """Who runs which saga: what message ids are derived from."""

    orchestrator: str
    saga_id: str


@dataclass(frozen=True)
class Cause:
    """What set a chain of transitions off.

    `reply` is the awaited id that was answered. `relay_after_seconds` says how soon the due loop looks whether the
    chain's commands were sent (0: it is the one to send them); None leaves that to the step's own ask-again time.
    """

    reply: str | None = None
    relay_after_seconds: float | None = None


def is_never_undone(kind: str, phase: str) -> bool:
    """A step of this StepKind that is so far: a pivot that succeeded, or a retriable step that began."""
    if kind == StepKind.RETRIABLE:
        return phase not in (Phase.WAITING, Phase.SKIPPED)
    return kind == StepKind.PIVOT and phase in (Phase.CONFIRMING, Phase.DONE)


class Walk:
    """`settled`: the steps that have just come to an end, whose neighbours are still to be looked at."""

    def __init__(self, definition: Definition, identity: Identity, state: SagaState, now: float, cause: Cause) -> None:
        self.definition = definition
        self.identity = identity
        self.saga = state
        # In the definition's order, whatever order the database gave them back in: the engine is deterministic.
        self.steps = {name: state.steps[name] for name in definition.nodes if name in state.steps}
        if len(self.steps) != len(state.steps):
            unknown = ", ".join(sorted(set(state.steps) - set(self.steps)))
            raise LookupError(f"saga {definition.name} has no step {unknown} any more, but this instance has begun it")
        self.now = now
        self.cause = cause
        self.effects: list[Effect] = []
        self.settled: deque[str] = deque()
        for name, step in state.steps.items():
            if step.chosen is not None:  # a branch may have become longer since it was left out
                self.leave_out_all_but(step.chosen, name)

    def result(self) -> SagaState:
        return self.saga._replace(steps=self.steps, status=self._status())

    def _status(self) -> SagaStatus:
        saga = self.saga
        if saga.ended:
            return saga.status
        if saga.overdue or saga.closing_failure or any(step.stuck for step in self.steps.values()):
            return SagaStatus.NEEDS_ATTENTION
        return SagaStatus.COMPENSATING if saga.failing else SagaStatus.RUNNING

    # ---- looking ----------------------------------------------------------------------------------------------

    def node(self, name: str) -> Node:
        return self.definition.nodes[name]

    def step(self, name: str) -> StepState:
        return self.steps.get(name, _UNTOUCHED)

    def awaiting(self, sent: str) -> str | None:
        """The step that waits for the answer to this message."""
        return next((n for n, s in self.steps.items() if s.awaited and s.awaited.message_id == sent), None)

    def past_no_return(self) -> bool:
        """Whether something has happened that is never undone; a join is nothing that happens."""
        nodes = ((self.node(name), step.phase) for name, step in self.steps.items())
        return any(is_never_undone(node.kind, phase) and not node.is_join for node, phase in nodes)

    # ---- changing ---------------------------------------------------------------------------------------------

    def put(self, name: str, **changes: Any) -> StepState:
        self.steps[name] = changed = self.step(name)._replace(**changes)
        return changed

    def change(self, **changes: Any) -> None:
        self.saga = self.saga._replace(**changes)

    def leave_out_all_but(self, chosen: str, choice: str) -> None:
        for label, members in (self.node(choice).branches or {}).items():
            for member in members:
                if label != chosen and member not in self.steps:
                    self.steps[member] = _LEFT_OUT

    def settle(self, name: str, phase: Phase, **changes: Any) -> None:
        fresh = {"awaited": None, "retry_at": None, "stuck": False, "reply": None, "until": None, "dormant": False}
        self.put(name, phase=phase, **fresh, **changes)
        self.settled.append(name)

    def look_everywhere(self) -> None:
        """Let the next look consider every step, not only the neighbours of what has just settled."""
        self.settled.extend(self.definition.nodes)

    def get_stuck(self, name: str, failure: Failure) -> None:
        step = self.put(name, stuck=True, retry_at=None, until=None, dormant=False, failure=failure)
        attempt = step.undo_attempt if step.phase is Phase.UNDOING else step.attempt
        self.record("needs_attention", name, attempt, failure=failure.to_json())

    # ---- asking for something to be done ----------------------------------------------------------------------

    def record(self, event: str, step: str | None = None, attempt: int | None = None, **detail: Any) -> None:
        self.effects.append(Record(event, step, attempt, detail or None))

    def refuse(self, reason: str) -> None:
        self.effects.append(Refuse(reason))

    def call(self, code: UserCode, step: str | None, attempt: int = 1, argument: Any = None) -> None:
        self.effects.append(Call(code, step, attempt, argument))

    def await_reply(self, name: str, direction: Direction, payload: Any) -> None:
        """Remember the command before anybody sends it: what is awaited is asked again until it is answered."""
        step, node = self.step(name), self.node(name)
        attempt = step.attempt if direction is Direction.ACTION else step.undo_attempt
        sent = message_id(self.identity.orchestrator, self.identity.saga_id, name, direction, attempt)
        wait = self.cause.relay_after_seconds
        ask_at = self.now + (node.ask_again_after_seconds if wait is None else wait)
        self.put(name, awaited=Awaited(sent, payload, self.cause.reply, ask_at, unsent=wait == 0))
        self.change(last_message_id=sent)
        event = "command_sent" if direction is Direction.ACTION else "compensation_sent"
        self.record(event, name, attempt, payload=payload, message_id=sent)
        self.publish(name)

    def publish(self, name: str, *, again: bool = False) -> None:
        """Send what the step awaits, as it stands in the state."""
        step = self.step(name)
        assert step.awaited is not None
        action = step.phase is Phase.ACTING
        self.effects.append(
            Publish(
                name,
                Direction.ACTION if action else Direction.COMPENSATION,
                step.attempt if action else step.undo_attempt,
                step.awaited.message_id,
                step.awaited.payload,
                again=again,
            )
        )

    def publish_what_came_of(self, message: str) -> None:
        """A message comes again: a process may have died between the commit that it led to and the publishing."""
        for name, step in self.steps.items():
            if step.awaited is not None and step.awaited.caused_by == message:
                self.publish(name)
