"""Whatever happens, in whatever order: what the engine promises holds after every transition and at the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas_framework import Failure, SagaStatus
from sagas_framework.definition.graph import Definition, Node, Undo, Work
from sagas_framework.definition.steps import StepKind
from sagas_framework.engine.clock import next_due
from sagas_framework.engine.protocol import (
    Call,
    Cancel,
    Confirmed,
    Pause,
    Publish,
    Reply,
    Resume,
    Retry,
    Signal,
    Tick,
    Unhandled,
)
from sagas_framework.engine.state import Phase
from tests.unit.engine.always import Order
from tests.unit.engine.definitions import TIMING, definitions
from tests.unit.engine.world import OUTCOMES, SUCCEEDS, World

EVENTS = (
    *("command", "reply", "tick") * 3,
    *("signal", "signal", "confirmed tick", "silence", "foreign reply", "poison"),
)
ACTS: dict[str, type[Retry | Cancel | Pause | Resume]] = {
    "retry": Retry,
    "cancel": Cancel,
    "pause": Pause,
    "resume": Resume,
}


@dataclass(frozen=True)
class Happening:
    """`which` chooses among messages; the n-th call of user code raises when bit n of `raising` is set."""

    what: str
    which: int
    outcome: int
    raising: int
    flag: bool

    def raises(self, call: Call) -> bool:
        return self.raising > 0 and (self.raising >> (hash_of(call) % 6)) & 1 == 1


def hash_of(call: Call) -> int:
    return sum(map(ord, f"{call.code}{call.step}{call.attempt}"))


happenings = st.builds(
    Happening,
    what=st.sampled_from([*EVENTS, *ACTS]),
    which=st.integers(0, 20),
    outcome=st.sampled_from([0, 0, 0, 1, 2]),
    raising=st.sampled_from([0, 0, 0, 63, 1, 2, 4, 8, 16, 32]),
    flag=st.booleans(),
)


def let_happen(world: World, it: Happening) -> None:
    if it.what == "command" and world.commands:
        sent = world.commands[-1 - it.which % len(world.commands)]
        world.deliver_command(sent, OUTCOMES[it.outcome] if sent.awaited else SUCCEEDS)
    elif it.what == "reply" and world.replies:
        world.deliver_reply(*world.replies[-1 - it.which % len(world.replies)], it.flag, it.raises)
    elif it.what in ("tick", "confirmed tick", "silence"):
        due = next_due(world.definition, world.state)
        world.now = max(world.now, (due or world.now) - 0.5 + it.outcome)
        asked = [e.message_id for e in world.give(Tick(world.now), it.raises) if isinstance(e, Publish) and e.again]
        if it.what != "tick":
            world.give(Confirmed(world.now, frozenset(asked)))
        if it.what == "silence":
            world.now += TIMING.give_up_after_seconds
            world.give(Tick(world.now), it.raises)
    elif it.what == "foreign reply":
        before = world.state
        world.give(Reply(world.now, f"nobody's {it.which}", it.flag, failure=None))
        assert world.state == before
    elif it.what == "signal" and world.definition.signals:
        names = list(world.definition.signals)
        world.give(Signal(world.now, names[it.which % len(names)], {"number": it.which}), it.raises)
    elif it.what == "poison" and world.awaited():
        answered = world.awaited()[it.which % len(world.awaited())]
        world.give(Unhandled(world.now, answered, Failure("ReplyKillsItsWorker", "")), it.raises)
    elif it.what in ACTS:
        world.give(ACTS[it.what](world.now, "an operator"), it.raises)


def lived(definition: Definition, start_raises: Happening, history: list[Happening]) -> World:
    world = World(definition, taste=start_raises.which)
    world.begin(start_raises.raises)
    for it in history:
        let_happen(world, it)
    world.drive()
    for sent in list(world.commands):  # what was late all the time comes now
        world.deliver_command(sent, SUCCEEDS)
    for reply in list(world.replies):
        world.deliver_reply(*reply, redelivered=False)
    return world


@pytest.mark.rule(4, 6, 16, 17, 18)
@given(definitions(), happenings, st.lists(happenings, max_size=40))
def test_every_history_ends_with_all_of_it_in_force_or_none(
    definition: Definition, start_raises: Happening, history: list[Happening]
) -> None:
    world = lived(definition, start_raises, history)
    done = Counter(name for what, name in world.log if what == "do")
    undone = Counter(name for what, name in world.log if what == "undo")
    assert all(times == 1 for times in (*done.values(), *undone.values())), world.log
    if world.state.status is SagaStatus.SUCCEEDED:
        assert not undone
        left_out = {name for name, step in world.state.steps.items() if step.phase is Phase.SKIPPED}
        assert set(done) == {name for name, node in definition.nodes.items() if node.has_action} - left_out
    else:
        assert world.state.status is SagaStatus.FAILED
        assert world.state.failed_at is not None and world.state.failure is not None
        for name, node in definition.nodes.items():
            if node.undo is not Undo.NOTHING and node.has_action and not local_undo_of_the_unknown(world, name):
                assert done[name] == undone[name], f"{name}: {world.log}"


def local_undo_of_the_unknown(world: World, name: str) -> bool:
    """A local compensation of a remote step knows nothing of the participant: it runs for what may have been done."""
    node = world.definition.nodes[name]
    return node.remote and node.undo is Undo.LOCAL


def decides_by_itself(node: Node) -> bool:
    """What only waits does not pass the point of no return by beginning to."""
    return node.kind is StepKind.PIVOT and node.work not in (Work.SIGNAL, Work.SLEEP)


@pytest.mark.rule(17)
@given(definitions(), happenings, st.lists(happenings, max_size=40))
def test_a_pivot_that_was_done_and_cannot_be_undone_is_never_left_behind_by_a_rollback(
    definition: Definition, start_raises: Happening, history: list[Happening]
) -> None:
    world = lived(definition, start_raises, history)
    for name, node in definition.nodes.items():
        if decides_by_itself(node) and node.undo is Undo.NOTHING and ("do", name) in world.log:
            assert world.state.status is SagaStatus.SUCCEEDED


@pytest.mark.rule(16)
@given(definitions(), happenings, st.lists(happenings, max_size=40))
def test_nothing_is_undone_before_what_comes_after_it(
    definition: Definition, start_raises: Happening, history: list[Happening]
) -> None:
    world = lived(definition, start_raises, history)
    sequence = [
        name for what, name in world.log if what == "undo" and definition.nodes[name].undo is not Undo.UNAWAITED
    ]
    after = Order(definition).after
    for place, name in enumerate(sequence):
        assert after[name].isdisjoint(sequence[place + 1 :]), f"{name} too early: {sequence}"


@given(definitions(), happenings, st.lists(happenings, max_size=40))
def test_the_hook_of_the_end_returns_once_and_is_the_right_one(
    definition: Definition, start_raises: Happening, history: list[Happening]
) -> None:
    world = lived(definition, start_raises, history)
    ended_well = world.state.status is SagaStatus.SUCCEEDED
    expected = {"on_saga_success"} if ended_well else {"on_saga_failure"}
    assert {code.value: n for code, n in world.hooks_returned.items()} == {
        hook: 1 for hook in expected & definition.hooks
    }
