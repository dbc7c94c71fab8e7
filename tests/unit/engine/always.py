"""What must hold after every single transition, whatever happened; judged from the graph alone."""

from __future__ import annotations

import json

from sagas_framework import SagaStatus
from sagas_framework.definition.graph import Definition, Node
from sagas_framework.definition.steps import StepKind
from sagas_framework.engine.clock import next_due
from sagas_framework.engine.protocol import (
    Call,
    Confirmed,
    Dispatch,
    Input,
    Publish,
    Refuse,
    Resume,
    Retry,
    Summons,
    Tick,
    Unhandled,
    UserCode,
)
from sagas_framework.engine.state import NOT_IN_FORCE, PASSED, UNDER_WAY, Phase, SagaState, StepState
from sagas_framework.engine.transition import Transition

_LOOKS_ONLY = (Tick, Confirmed, Retry, Resume, Unhandled)
_BACK = {Phase.UNDOING, Phase.UNDONE}
_MAY_BECOME = {
    Phase.WAITING: {Phase.ACTING, Phase.DONE, Phase.SKIPPED},
    Phase.ACTING: {Phase.CONFIRMING, Phase.DONE, Phase.FAILED, Phase.UNKNOWN, Phase.SKIPPED} | _BACK,
    Phase.CONFIRMING: {Phase.DONE} | _BACK,
    Phase.DONE: _BACK,
    Phase.UNKNOWN: _BACK,
    Phase.UNDOING: {Phase.UNDONE},
    Phase.FAILED: set[Phase](),
    Phase.SKIPPED: set[Phase](),
    Phase.UNDONE: set[Phase](),
}


def phase_of(state: SagaState, name: str) -> Phase:
    return state.steps[name].phase if name in state.steps else Phase.WAITING


class Order:
    """What comes after what, and what stands beside what, in one definition."""

    def __init__(self, definition: Definition) -> None:
        self._nodes = definition.nodes
        self.after: dict[str, frozenset[str]] = {}
        for name in reversed(list(definition.nodes)):  # they are written down in an order that the edges follow
            following = definition.nodes[name].before
            self.after[name] = frozenset(following).union(*(self.after[other] for other in following))

    def waits_for(self, failed: str, name: str) -> bool:
        """Whether a parallel lets `name` go on although `failed`, in another of its branches, has failed."""
        there = {place.parallel: place for place in self._nodes[failed].places}
        shared = [place for place in self._nodes[name].places if place.parallel in there]
        apart = next((place for place in shared if place.branch != there[place.parallel].branch), None)
        return apart is not None and not apart.fail_fast

    def could_begin(self, state: SagaState, name: str) -> bool:
        return (
            not state.failing
            and all(phase_of(state, previous) in PASSED for previous in self._nodes[name].after)
            and all(self.waits_for(failed, name) for failed in state.halted)
        )

    def could_be_undone(self, state: SagaState, name: str) -> bool:
        return state.failing and all(phase_of(state, other) in NOT_IN_FORCE for other in self.after[name])


def check(definition: Definition, order: Order, before: SagaState, given: Input, step: Transition) -> None:
    """After one transition."""
    state = step.state
    assert SagaState.from_json(json.loads(json.dumps(state.to_json()))) == state, "the state does not survive JSON"
    if any(isinstance(effect, Refuse) for effect in step.effects):
        assert state == before, "what was refused changed something"
    if before.ended and not isinstance(given, Summons):
        assert state == before, "an ended saga changed"
    troubled = bool(state.overdue or state.closing_failure or any(s.stuck for s in state.steps.values()))
    if not state.ended:
        assert troubled == (state.status is SagaStatus.NEEDS_ATTENTION)
    for name, after in state.steps.items():
        node, was = definition.nodes[name], before.steps.get(name, StepState(Phase.WAITING))
        _check_step(node, was, after, given)
        if was.phase is Phase.WAITING and after.phase is not Phase.SKIPPED and node.has_action:
            assert order.could_begin(state, name), f"{name} began too early, or after all was lost"
        if after.phase is Phase.UNDOING and was.phase is not Phase.UNDOING:
            assert order.could_be_undone(state, name), f"{name} is undone before what depends on it"
    for effect in step.effects:
        hook = isinstance(effect, Call) and effect.code in (UserCode.SAGA_SUCCESS, UserCode.SAGA_FAILURE)
        if isinstance(effect, (Call, Publish, Dispatch)) and effect.step is not None and not hook:
            assert phase_of(state, effect.step) is not Phase.SKIPPED, f"{effect.step} was left out"
    for name in set(before.signals) - set(state.signals):
        taken = phase_of(state, name) not in (Phase.WAITING, Phase.ACTING)
        assert state.ended or taken, f"the signal {name} was lost"
    _check_point_of_no_return(definition, state)


def _check_step(node: Node, was: StepState, after: StepState, given: Input) -> None:
    may_become = _MAY_BECOME[was.phase]
    if was.phase is Phase.WAITING and not node.has_action:
        may_become = (
            may_become | _BACK
        )  # it is done at once, and the saga may turn round when nothing else is under way
    assert after.phase is was.phase or after.phase in may_become, f"{node.name}: {was} -> {after}"
    waits = [after.awaited is not None, after.retry_at is not None, after.dormant]
    assert sum(waits) <= 1
    assert not after.stuck or sum(waits[1:]) == 0
    assert was.chosen is None or after.chosen == was.chosen, "it has chosen again"
    if was.awaited is not None and isinstance(given, _LOOKS_ONLY):  # silence
        assert after.attempt == was.attempt
        if after.awaited is None or after.phase is not was.phase:
            assert was.phase is Phase.ACTING and (node.may_give_up or node.stopped_by_undoing)
        else:
            assert after.undo_attempt == was.undo_attempt
            assert after.awaited.message_id == was.awaited.message_id


def _check_point_of_no_return(definition: Definition, state: SagaState) -> None:
    passed = any(
        definition.nodes[name].kind is StepKind.PIVOT and step.phase is Phase.DONE for name, step in state.steps.items()
    )
    if passed:
        assert not state.failing, "it turned round past its point of no return"
        assert not any(step.phase in _BACK for step in state.steps.values()), "undone after the pivot had succeeded"


def check_at_rest(definition: Definition, order: Order, state: SagaState) -> None:
    """After everything that an input led to: whatever could go on goes on, and somebody will look at the rest."""
    if state.ended or state.paused:
        return
    for name in definition.nodes:
        phase = phase_of(state, name)
        assert not (phase is Phase.WAITING and order.could_begin(state, name)), f"{name} could begin and does not"
        in_force = phase in (Phase.DONE, Phase.UNKNOWN)
        assert not (in_force and order.could_be_undone(state, name)), f"{name} could be undone and is not"
    under_way = [name for name, step in state.steps.items() if step.phase in UNDER_WAY]
    for failed in state.halted:
        assert any(order.waits_for(failed, name) for name in under_way), "it waits for nobody and does not turn"
    waits_for_somebody = any(step.dormant or step.stuck for step in state.steps.values()) or state.closing_failure
    assert waits_for_somebody or next_due(definition, state) is not None, "nobody would ever look at it again"
    for step in state.steps.values():
        if step.phase in (*UNDER_WAY, Phase.UNDOING):
            assert step.awaited or step.retry_at is not None or step.dormant or step.stuck, "it waits for nothing"
