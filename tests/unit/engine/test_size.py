"""Long sagas and wide ones: they end, and what a step costs grows no faster than the saga is long.

Calls are counted, not seconds: every function that Python enters while the engine is at work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from sagas_framework import SagaStatus, parallel
from sagas_framework.definition.compiler import compile_saga
from sagas_framework.definition.graph import Definition
from sagas_framework.engine.protocol import Call, Input, Publish, Reply, Returned, Start
from sagas_framework.engine.state import SagaState
from sagas_framework.engine.transition import cause_of, transition
from sagas_framework.vocabulary.command import Failure
from sagas_framework.vocabulary.identity import Direction
from tests.unit.engine.definitions import TIMING, nothing, saga_of
from tests.unit.engine.play import remote
from tests.unit.engine.world import IDENTITY

MANY, SOME = 1_000, 300
LINEAR = 1.2
"""So much more than in proportion may be asked for: what is done once for all steps weighs more in a small saga."""


def in_a_row(steps: int) -> Definition:
    return compile_saga(saga_of(*(remote(f"step {n}", on_success=nothing) for n in range(steps))), TIMING)


def side_by_side(steps: int) -> Definition:
    return compile_saga(saga_of(parallel(*(remote(f"step {n}") for n in range(steps))), remote("last")), TIMING)


def lived(definition: Definition, refused: str | None = None) -> tuple[SagaState, int]:
    """Its end, and how many commands it took; one step may be refused. Nothing but the engine is at work."""
    state, inputs, asked, commands = SagaState(), list[Input]([Start(0.0)]), list[Publish](), 0
    cause = cause_of(inputs[0])
    while inputs or asked:
        if not inputs:
            command = asked.pop(0)
            fails = command.step == refused and command.direction is Direction.ACTION
            failure = Failure("Refused", "no") if fails else None
            inputs.append(Reply(0.0, command.message_id, not fails, {}, failure))
            cause = cause_of(inputs[0])
        done = transition(definition, IDENTITY, state, inputs.pop(0), cause)
        state = done.state
        inputs += [Returned(0.0, effect, {}) for effect in done.effects if isinstance(effect, Call)]
        published = [effect for effect in done.effects if isinstance(effect, Publish)]
        asked += published
        commands += len(published)
    return state, commands


def calls_of(work: Callable[[], Any]) -> int:
    count = 0

    def one_more(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(one_more)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("shape", [in_a_row, side_by_side])
def test_a_thousand_steps_are_done_or_undone_each_with_one_command(shape: Callable[[int], Definition]) -> None:
    definition = shape(MANY)
    remote_steps = sum(node.remote for node in definition.nodes.values())
    state, commands = lived(definition)
    assert state.status is SagaStatus.SUCCEEDED and commands == remote_steps
    last = next(name for name in reversed([*definition.nodes]) if definition.nodes[name].remote)
    state, commands = lived(definition, refused=last)
    assert state.status is SagaStatus.FAILED and commands == 2 * remote_steps - 1


@pytest.mark.parametrize("shape", [in_a_row, side_by_side])
def test_validating_a_definition_costs_in_proportion_to_its_length(shape: Callable[[int], Definition]) -> None:
    few, many = (calls_of(partial(shape, steps)) for steps in (SOME, 2 * SOME))
    assert many < 2 * few * LINEAR


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("shape", [in_a_row, side_by_side])
def test_what_a_step_costs_grows_at_most_in_proportion_to_the_saga(
    shape: Callable[[int], Definition], refused: bool
) -> None:
    per_step = []
    for steps in (SOME, 2 * SOME):
        definition = shape(steps)
        bad = f"step {steps - 1}" if refused else None
        per_step.append(calls_of(partial(lived, definition, bad)) / steps)
    assert per_step[1] < 2 * per_step[0] * LINEAR
