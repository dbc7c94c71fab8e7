"""One transition in the making: a working copy of the state, the effects so far, and the moves over the graph.

`transition` decides what an input means; here stand the moves it is made of: begin a step, settle it, fail the
saga, undo what may be undone, end.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from sagas_framework.definition.graph import Definition, Node, Undo
from sagas_framework.definition.steps import AsyncStep, StepKind
from sagas_framework.engine.protocol import Call, Dispatch, Effect, Publish, Record, UserCode
from sagas_framework.engine.state import Awaited, Phase, SagaState, SagaStatus, StepState
from sagas_framework.vocabulary.command import Failure, FailureKind
from sagas_framework.vocabulary.identity import Direction, message_id

_UNTOUCHED = StepState(Phase.WAITING)
_NOTHING_LEFT_TO_UNDO = (Phase.WAITING, Phase.FAILED, Phase.UNDONE)


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


class Walk:
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
        self._settled: deque[str] = deque()

    def result(self) -> SagaState:
        return self.saga._replace(steps=self.steps, status=self._status())

    # ---- small tools ------------------------------------------------------------------------------------------

    def node(self, name: str) -> Node:
        return self.definition.nodes[name]

    def step(self, name: str) -> StepState:
        return self.steps.get(name, _UNTOUCHED)

    def put(self, name: str, **changes: Any) -> StepState:
        self.steps[name] = changed = self.step(name)._replace(**changes)
        return changed

    def change(self, **changes: Any) -> None:
        self.saga = self.saga._replace(**changes)

    def record(self, event: str, step: str | None = None, attempt: int | None = None, **detail: Any) -> None:
        self.effects.append(Record(event, step, attempt, detail or None))

    def call(self, code: UserCode, step: str | None, attempt: int = 1, argument: Any = None) -> None:
        self.effects.append(Call(code, step, attempt, argument))

    def awaiting(self, sent: str) -> str | None:
        """The step that waits for the answer to this message."""
        return next((n for n, s in self.steps.items() if s.awaited and s.awaited.message_id == sent), None)

    def past_no_return(self) -> bool:
        """Whether something has happened that is never undone: a pivot succeeded or a retriable step began."""
        for name, step in self.steps.items():
            kind = self.node(name).kind
            if kind is StepKind.RETRIABLE:
                return True
            if kind is StepKind.PIVOT and step.phase in (Phase.CONFIRMING, Phase.DONE):
                return True
        return False

    # ---- forward ----------------------------------------------------------------------------------------------

    def begin(self, name: str) -> None:
        node = self.node(name)
        if not node.has_action:
            self.settle(name, Phase.DONE)
            return
        self.change(current_step=name)
        self.call_action(name)

    def call_action(self, name: str) -> None:
        attempt = self.step(name).attempt + 1
        self.put(name, phase=Phase.ACTING, attempt=attempt, retry_at=None, stuck=False)
        self.call(UserCode.ACTION, name, attempt)

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

    def settle(self, name: str, phase: Phase, **changes: Any) -> None:
        self.put(name, phase=phase, awaited=None, retry_at=None, stuck=False, reply=None, **changes)
        self._settled.append(name)

    def action_failed(self, name: str, failure: Failure) -> None:
        node, step = self.node(name), self.put(name, awaited=None, failure=failure)
        retriable, transient = node.kind is StepKind.RETRIABLE, failure.kind is FailureKind.TRANSIENT
        tries = step.attempt - step.forgiven
        if (retriable or (transient and not self.saga.failing)) and node.retry.allows_another_after(tries):
            retry_at = self.now + node.retry.delay_seconds_after(tries)
            self.put(name, retry_at=retry_at)
            self.record("retry_scheduled", name, step.attempt, at=retry_at, failure=failure.to_json())
        elif retriable or self.past_no_return():
            self.get_stuck(name, failure)
        else:
            self.settle(name, Phase.FAILED)
            self.record("step_failed", name, step.attempt, failure=failure.to_json())
            declared = node.step
            if isinstance(declared, AsyncStep) and declared.on_failure is not None:
                self.call(UserCode.ON_FAILURE, name, step.attempt, failure)
            self.fail(name, failure)

    def get_stuck(self, name: str, failure: Failure) -> None:
        step = self.put(name, stuck=True, awaited=None, retry_at=None, failure=failure)
        attempt = step.undo_attempt if step.phase is Phase.UNDOING else step.attempt
        self.record("needs_attention", name, attempt, failure=failure.to_json())

    # ---- backward ---------------------------------------------------------------------------------------------

    def fail(self, name: str | None, failure: Failure) -> None:
        """Turn round: nothing new starts, and what was or may have been done is undone against the edges."""
        if self.saga.failing:
            return
        # A hook of the success that raised is no trouble any more: that success will not be.
        self.change(failing=True, failed_step=name, failed_at=self.now, failure=failure, closing_failure=None)
        self.record("compensating", name, failure=failure.to_json())
        for other, step in list(self.steps.items()):
            if step.phase is Phase.ACTING and step.retry_at is not None:
                self.settle(other, Phase.FAILED)  # its last attempt was answered: there is nothing to undo
            elif step.phase is Phase.ACTING and step.stuck:
                self.settle(other, Phase.UNKNOWN)  # its answer could not be handled: it may have been done
        self._settled.extend(self.steps)

    def go_on_after_all(self, name: str) -> None:
        """A pivot that was in flight when the saga turned round has succeeded: from here nothing is undone."""
        self.change(failing=False, failed_step=None, failed_at=None, failure=None)
        self.record("going_forward", name, reason="the pivot succeeded before anything was undone")

    def _undo(self, name: str) -> None:
        node = self.node(name)
        if node.undo is Undo.NOTHING:
            self.settle(name, Phase.UNDONE)
            return
        self.put(name, phase=Phase.UNDOING, forgiven=0)
        self.change(current_step=name)
        self.call_compensation(name)

    def call_compensation(self, name: str) -> None:
        attempt = self.step(name).undo_attempt + 1
        self.put(name, undo_attempt=attempt, retry_at=None, stuck=False)
        self.call(UserCode.COMPENSATION, name, attempt)

    def compensation_called(self, name: str, payload: Any) -> None:
        undo, attempt = self.node(name).undo, self.step(name).undo_attempt
        if undo is Undo.AWAITED:
            self.await_reply(name, Direction.COMPENSATION, payload)
            return
        if undo is Undo.UNAWAITED:
            self.record("compensation_sent", name, attempt, payload=payload, awaited=False)
            self.effects.append(Dispatch(name, attempt, payload))
        self.compensated(name)

    def compensated(self, name: str) -> None:
        self.record("compensation_done", name, self.step(name).undo_attempt)
        self.settle(name, Phase.UNDONE)

    def compensation_failed(self, name: str, failure: Failure) -> None:
        node, step = self.node(name), self.put(name, awaited=None, failure=failure)
        tries = step.undo_attempt - step.forgiven
        self.record("compensation_failed", name, step.undo_attempt, failure=failure.to_json())
        if node.undo_retry.allows_another_after(tries):
            self.put(name, retry_at=self.now + node.undo_retry.delay_seconds_after(tries))
            return
        self.get_stuck(name, failure)
        if UserCode.COMPENSATION_FAILURE in self.definition.hooks:
            self.call(UserCode.COMPENSATION_FAILURE, name, step.undo_attempt, failure)

    # ---- going on ---------------------------------------------------------------------------------------------

    def look_everywhere(self) -> None:
        """Let the next `proceed` consider every step, not only the neighbours of what has just settled."""
        self._settled.extend(self.definition.nodes)

    def proceed(self) -> None:
        """Start, undo or end whatever the steps that have just settled make possible."""
        if self.saga.paused or self.saga.ended or not self._settled:
            return
        while self._settled:
            name = self._settled.popleft()
            node = self.node(name)
            if self.saga.failing:
                self._undo_if_free(name)
                for previous in node.after:
                    self._undo_if_free(previous)
            elif self.step(name).phase is Phase.DONE:
                for following in node.before:
                    self._begin_if_ready(following)
            elif not node.after:
                self._begin_if_ready(name)
        self._close_if_finished()

    def _begin_if_ready(self, name: str) -> None:
        if self.step(name).phase is not Phase.WAITING:
            return
        if all(self.step(previous).phase is Phase.DONE for previous in self.node(name).after):
            self.begin(name)

    def _undo_if_free(self, name: str) -> None:
        if self.step(name).phase not in (Phase.DONE, Phase.UNKNOWN):
            return
        if all(self.step(following).phase in _NOTHING_LEFT_TO_UNDO for following in self.node(name).before):
            self._undo(name)

    def _close_if_finished(self) -> None:
        if self.saga.failing:
            if all(step.phase in _NOTHING_LEFT_TO_UNDO for step in self.steps.values()):
                self._close(UserCode.SAGA_FAILURE)
        elif all(self.step(name).phase is Phase.DONE for name in self.definition.last):
            self._close(UserCode.SAGA_SUCCESS)

    def _close(self, hook: UserCode) -> None:
        if hook in self.definition.hooks:
            self.call(hook, self.saga.failed_step, 1, self.saga.failure)
        else:
            self.end()

    def end(self) -> None:
        failed = self.saga.failing
        self.change(
            status=SagaStatus.FAILED if failed else SagaStatus.SUCCEEDED,
            current_step=None,
            deadline_at=None,
            overdue=False,
            closing_failure=None,
        )
        self.record("failed" if failed else "succeeded", self.saga.failed_step)

    def _status(self) -> SagaStatus:
        saga = self.saga
        if saga.ended:
            return saga.status
        if saga.overdue or saga.closing_failure or any(step.stuck for step in self.steps.values()):
            return SagaStatus.NEEDS_ATTENTION
        return SagaStatus.COMPENSATING if saga.failing else SagaStatus.RUNNING
