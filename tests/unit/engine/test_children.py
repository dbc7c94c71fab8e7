"""A saga that is another's step: two engines and a network between them that loses, repeats and reorders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas_framework import PIVOT, RETRIABLE, SagaStatus, child_saga, parallel
from sagas_framework.definition.compiler import compile_saga
from sagas_framework.definition.graph import Definition
from sagas_framework.engine import protocol
from sagas_framework.engine.clock import next_due
from sagas_framework.engine.protocol import Cancel, Confirmed, Pause, Reply, Resume, Summons, Tick
from sagas_framework.engine.state import Asked, Phase
from sagas_framework.engine.walk import Identity
from sagas_framework.vocabulary.identity import Direction
from tests.unit.engine.definitions import TIMING, definitions, nothing, saga_of
from tests.unit.engine.play import Play, local, remote
from tests.unit.engine.test_any_history import ACTS
from tests.unit.engine.world import OUTCOMES, Sent, World

RUN = Asked("run", "run 1", {"direction": "action"})
UNDO = Asked("undo", "undo 1", {"direction": "compensation"})
UNDO_AGAIN = Asked("undo", "undo 2", {"direction": "compensation"})


def run(child: Play, asked: Asked = RUN) -> None:
    child.play(Summons(child.now, asked, Direction.ACTION))


def undo(child: Play, asked: Asked = UNDO) -> None:
    child.play(Summons(child.now, asked, Direction.COMPENSATION))


def told(child: World) -> list[tuple[str, str | None]]:
    """What it has told its parent: to which message, and why it failed if it did."""
    return [(a.asked.message_id, a.failure.type if a.failure else None) for a in child.answers]


# ---- the child's side -----------------------------------------------------------------------------------------------


def test_a_childs_end_is_its_parents_reply() -> None:
    child = Play(remote("a"))
    run(child)
    child.succeed("a")
    assert told(child) == [("run 1", None)]


def test_a_child_that_failed_tells_why_when_all_of_it_is_undone() -> None:
    child = Play(remote("a"), remote("b"))
    run(child)
    child.succeed("a")
    child.refuse("b")
    assert told(child) == []
    child.succeed("a")
    assert told(child) == [("run 1", "Refused")]


def test_a_child_that_is_asked_twice_runs_once_and_answers_both() -> None:
    child = Play(remote("a"))
    run(child)
    run(child)
    child.succeed("a")
    run(child)
    assert told(child) == [("run 1", None), ("run 1", None)] and len(child.commands) == 1


def test_a_child_undone_while_it_runs_stops_and_undoes_what_it_did() -> None:
    child = Play(remote("a"), remote("b"), remote("c"))
    run(child)
    child.succeed("a")
    undo(child)
    child.succeed("b")
    assert child.phases("a", "b", "c") == [Phase.DONE, Phase.UNDOING, Phase.WAITING]
    child.succeed("b", "a")
    assert told(child) == [("undo 1", None)]


def test_a_child_undone_after_its_success_undoes_all_of_it() -> None:
    child = Play(remote("a"), remote("b"))
    run(child)
    child.succeed("a", "b")
    undo(child)
    assert child.status() is SagaStatus.COMPENSATING and child.phase("b") is Phase.UNDOING
    child.succeed("b", "a")
    undo(child)
    assert told(child) == [("run 1", None), ("undo 1", None), ("undo 1", None)]


def test_a_child_undone_before_it_began_never_begins() -> None:
    child = Play(remote("a"))
    undo(child)
    run(child)
    assert child.status() is SagaStatus.FAILED and not child.commands
    assert told(child) == [("undo 1", None)], "the command that came late is answered by nobody: it is not awaited"


def test_undoing_a_child_that_failed_by_itself_is_done_already() -> None:
    child = Play(remote("a"))
    run(child)
    child.refuse("a")
    undo(child)
    assert told(child) == [("run 1", "Refused"), ("undo 1", None)]


@pytest.mark.parametrize("ended", [True, False])
def test_a_child_past_its_point_of_no_return_says_so_and_never_that_it_was_undone(ended: bool) -> None:
    child = Play(local("pivot", compensation=None, kind=PIVOT), remote("last", compensation=None))
    run(child)
    if ended:
        child.succeed("last")
    undo(child)
    if not ended:
        child.succeed("last")
    undo(child, UNDO_AGAIN)
    assert child.status() is SagaStatus.SUCCEEDED
    assert {answer for answer in told(child) if answer[0] != "run 1"} == {
        ("undo 1", "CannotBeUndone"),
        ("undo 2", "CannotBeUndone"),
    }


def test_a_child_whose_pivot_outruns_the_undoing_says_that_it_cannot_be_undone() -> None:
    child = Play(remote("pivot", compensation=None, kind=PIVOT), remote("last", compensation=None))
    run(child)
    undo(child)
    child.succeed("pivot", "last")
    assert told(child) == [("undo 1", "CannotBeUndone")]


def test_a_paused_child_is_undone_when_it_is_resumed() -> None:
    child = Play(remote("a"), remote("b"))
    run(child)
    child.succeed("a")
    child.play(Pause(child.now, "wait"))
    undo(child)
    child.refuse("b")
    assert child.phase("a") is Phase.DONE
    child.play(Resume(child.now, "go on"))
    child.succeed("a")
    assert told(child) == [("undo 1", None)]


# ---- the parent's side ----------------------------------------------------------------------------------------------

Child = saga_of(local("work"), name="Child")


def test_a_parent_that_turns_round_stops_its_running_child() -> None:
    parent = Play(parallel(remote("a"), child_saga("child", Child, nothing), fail_fast=True))
    parent.start()
    parent.refuse("a")
    assert parent.phase("child") is Phase.UNDOING


@pytest.mark.parametrize("kind", [PIVOT, None])
def test_a_child_that_its_undoing_does_not_stop_is_waited_for(kind: Any) -> None:
    """One that is the pivot, or that something else compensates."""
    own = None if kind else nothing
    parent = Play(remote("first"), child_saga("child", Child, nothing, kind=kind, compensation=own))
    parent.start()
    parent.succeed("first")
    parent.play(Cancel(parent.now, "enough"))
    assert parent.phases("first", "child") == [Phase.DONE, Phase.ACTING]
    parent.succeed("child")
    assert parent.status() is (SagaStatus.SUCCEEDED if kind else SagaStatus.COMPENSATING)


def test_nobody_gives_up_on_a_child() -> None:
    parent = Play(child_saga("child", Child, nothing))
    parent.start()
    asked = parent.state.steps["child"].awaited
    assert asked is not None
    parent.wait(TIMING.ask_again_after_seconds)
    parent.play(Confirmed(parent.now, frozenset({asked.message_id})))
    parent.wait(10 * TIMING.give_up_after_seconds)
    assert parent.phase("child") is Phase.ACTING


# ---- both -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Happening:
    what: str
    which: int
    outcome: int
    child: bool


happenings = st.builds(
    Happening,
    what=st.sampled_from(
        [*("summons", "answer", "command", "reply", "tick") * 3, "cancel", "retry", "pause", "resume"]
    ),
    which=st.integers(0, 10),
    outcome=st.sampled_from([0, 0, 0, 1, 2]),
    child=st.booleans(),
)


class Family:
    """A parent and its children: one for each attempt of each of its steps that are sagas."""

    def __init__(self, parent: Definition, child: Definition) -> None:
        self.parent = World(parent)
        self.children: dict[tuple[str, int], World] = {}
        self._child = child

    def let_happen(self, it: Happening) -> None:
        if it.what == "summons" and self._summonses():
            self._deliver(self._summonses(), it.which)
        elif it.what == "answer":
            answers = [(child, answer) for child in self.children.values() for answer in child.answers]
            if answers:
                self._answer(answers[-1 - it.which % len(answers)][1])
        else:
            worlds = [*self.children.values()] if it.child and self.children else [self.parent]
            self._let_happen_in(worlds[it.which % len(worlds)], it)

    def _let_happen_in(self, world: World, it: Happening) -> None:
        commands = [sent for sent in world.commands if not self._is_child(world, sent)]
        if it.what == "command" and commands:
            world.deliver_command(commands[-1 - it.which % len(commands)], OUTCOMES[it.outcome])
        elif it.what == "reply" and world.replies:
            world.deliver_reply(*world.replies[-1 - it.which % len(world.replies)], redelivered=it.outcome == 1)
        elif it.what == "tick":
            world.now = max(world.now, next_due(world.definition, world.state) or world.now)
            world.give(Tick(world.now))
        elif it.what in ACTS:
            world.give(ACTS[it.what](world.now, "an operator"))

    def drive(self) -> None:
        """From here on everybody behaves, and whatever is asked arrives."""
        for _ in range(300):
            begun = [child for child in self.children.values() if child.state.asked is not None]
            for child in begun:
                child.drive()
            if self.parent.state.ended:
                return
            self._drive_parent()
        raise AssertionError(f"no end in sight: {self.parent.state}, {[c.state for c in self.children.values()]}")

    def _drive_parent(self) -> None:
        awaited = {*self.parent.awaited()}
        waiting = [sent for sent in self._summonses() if sent.message_id in awaited]
        if waiting and not self.parent.state.paused:
            child = self._deliver(waiting, 0)
            child.drive()
            self._answer(child.answers[-1])
        else:
            self.parent.drive_on(but_not=self._summonses())

    def _is_child(self, world: World, sent: Sent) -> bool:
        return world is self.parent and world.definition.nodes[sent.step].is_child

    def _summonses(self) -> list[Sent]:
        return [sent for sent in self.parent.commands if self._is_child(self.parent, sent)]

    def _deliver(self, summonses: list[Sent], which: int) -> World:
        sent = summonses[-1 - which % len(summonses)]
        undoes = self.parent.payloads[sent.message_id][1]["argument"]
        key = (sent.step, sent.attempt if sent.direction is Direction.ACTION else undoes)
        child = self.children.setdefault(key, World(self._child, identity=Identity("world", f"child {key}")))
        place = {"step": sent.step, "direction": sent.direction.value, "attempt": sent.attempt}
        child.give(
            Summons(child.now, Asked("task", sent.message_id, place), sent.direction, redelivered=which % 2 == 1)
        )
        return child

    def _answer(self, answer: protocol.Answer) -> None:
        parent, asked = self.parent, answer.asked
        parent.give(Reply(parent.now, asked.message_id, answer.failure is None, failure=answer.failure))


@st.composite
def families(draw: st.DrawFn) -> Family:
    child = draw(definitions(undoable=True))
    steps: list[Any] = [child_saga("one", Child, nothing), remote("a")]
    if draw(st.booleans()):
        steps = [parallel(*steps, child_saga("two", Child, nothing), fail_fast=draw(st.booleans()))]
    steps.append(remote("b"))
    if draw(st.booleans()):
        steps.append(child_saga("last", Child, nothing, kind=RETRIABLE))
    return Family(compile_saga(saga_of(*steps), TIMING), child)


@given(families(), st.lists(happenings, max_size=40))
def test_a_parent_and_its_children_end_alike_whatever_the_network_does(
    family: Family, history: list[Happening]
) -> None:
    family.parent.begin()
    for it in history:
        family.let_happen(it)
    family.drive()
    parent = family.parent.state
    for (step, attempt), child in family.children.items():
        in_force = parent.steps[step].phase is Phase.DONE and parent.steps[step].attempt == attempt
        assert child.state.status is (SagaStatus.SUCCEEDED if in_force else SagaStatus.FAILED), (step, attempt)
        undone = [name for what, name in child.log if what == "undo"]
        assert in_force or len(undone) == len(set(undone))
    if parent.status is SagaStatus.SUCCEEDED:
        assert {step for step, _ in family.children} == set(family.parent.definition.children)
