"""How steps may be put together, and that whatever cannot work is refused: which step, why, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas_framework import (
    COMPENSATABLE,
    PIVOT,
    RETRIABLE,
    DefinitionError,
    Sleep,
    SyncStep,
    WaitForSignal,
    child_saga,
    choice,
    include,
    parallel,
    when,
)
from sagas_framework.definition.checks import refuse_bad_children
from sagas_framework.definition.compiler import compile_saga
from sagas_framework.definition.graph import Fork
from sagas_framework.definition.steps import StepKind
from tests.unit.definition.test_definitions import Data, local, remote, saga_of


def work(*arguments: Any) -> Any:
    """What a step does, or what a choice asks."""


@dataclass
class Payment:
    amount: int = 0


@dataclass
class Order:
    payment: Payment = field(default_factory=Payment)


def choosing(*steps: Any, **more: Any) -> Any:
    return choice(when(work, *steps, label="yes"), name="way", **more)


# ---- what is refused where it is written ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (lambda: parallel(), "parallel\\(\\) without branches"),
        (lambda: choice(), "at least one"),
        (lambda: choice(local("a")), "branches that when"),  # type: ignore[arg-type]
        (lambda: when("yes", local("a")), "the condition of when"),  # type: ignore[arg-type]
        (lambda: choice(when(work, local("a")), when(work, local("b"))), "one name twice"),
        (lambda: choice(when(work, local("a"), label="otherwise")), "one name twice \\(or 'otherwise'\\)"),
        (lambda: include(local("a")), "takes a saga class"),  # type: ignore[call-overload]
        (lambda: WaitForSignal(""), "needs a name"),
        (lambda: WaitForSignal("a", payload=int), "payload must be a dataclass"),
        (lambda: WaitForSignal("a", timeout_seconds=0.0), "timeout_seconds must be a positive"),
        (lambda: Sleep("", 1.0), "needs a name"),
        (lambda: Sleep("a", 0.0), "seconds must be a positive"),
        (lambda: Sleep("a", float("inf")), "seconds must be a positive"),
        (lambda: remote("a", awaited=False, on_success=work), "nobody awaits its answer"),
        (lambda: remote("a", awaited=False, on_failure=work), "nobody awaits its answer"),
    ],
)
def test_what_cannot_be_put_together_is_refused_where_it_is_written(build: Callable[[], Any], why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        build()


# ---- what is refused when it is put together ------------------------------------------------------------------------


@pytest.mark.rule(17)
@pytest.mark.parametrize(
    ("steps", "step", "beside"),
    [
        ([parallel(remote("p", PIVOT), remote("a"))], "p", "a"),
        ([parallel(remote("a"), remote("p", PIVOT))], "p", "a"),
        ([parallel(remote("p", PIVOT), remote("q", PIVOT))], "p", "q"),
        ([parallel(remote("p", PIVOT), remote("r", RETRIABLE))], "r", "p"),
        ([parallel(remote("r", RETRIABLE), remote("a"))], "r", "a"),
        ([parallel([remote("a"), remote("r", RETRIABLE)], remote("s", RETRIABLE))], "s", "a"),
        ([parallel([remote("a"), remote("p", PIVOT)], remote("b"))], "p", "b"),
        ([parallel(parallel(remote("a"), remote("b")), remote("p", PIVOT))], "p", "a"),
        ([parallel(choosing(remote("p", PIVOT)), remote("a"))], "p", "a"),
        ([parallel(choosing(remote("r", RETRIABLE)), remote("s", RETRIABLE))], "s", "way"),
        ([choosing(parallel(remote("p", PIVOT), remote("a")))], "p", "a"),
        ([parallel(include(saga_of(remote("p", PIVOT)), prefix="in."), remote("a"))], "in.p", "a"),
    ],
)
def test_beside_what_may_fail_or_be_undone_nothing_may_be_decided(steps: Sequence[Any], step: str, beside: str) -> None:
    with pytest.raises(DefinitionError, match=f"cannot run beside {beside!r}") as refused:
        compile_saga(saga_of(*steps))
    assert refused.value.step == step and refused.value.saga == "Drawn"


@pytest.mark.rule(17)
@pytest.mark.parametrize(
    ("steps", "step", "decided_by"),
    [
        ([parallel(remote("p", PIVOT)), remote("a", COMPENSATABLE)], "a", "p"),
        ([choosing(remote("p", PIVOT)), remote("a", COMPENSATABLE)], "a", "p"),
        ([choosing(remote("p", PIVOT), remote("a", COMPENSATABLE))], "a", "p"),
        ([choosing(remote("a"), otherwise=remote("p", PIVOT)), remote("q", PIVOT)], "q", "p"),
        ([remote("p", PIVOT), parallel(remote("a", COMPENSATABLE), remote("b"))], "a", "p"),
        ([remote("p", PIVOT), choosing(remote("q", PIVOT))], "q", "p"),
        ([include(saga_of(remote("p", PIVOT)), prefix="in."), remote("q", PIVOT)], "q", "in.p"),
        ([remote("p", PIVOT), include(saga_of(remote("a", COMPENSATABLE)), prefix="in.")], "in.a", "p"),
        ([WaitForSignal("p", kind=PIVOT), Sleep("a", 1.0, kind=COMPENSATABLE)], "a", "p"),
    ],
)
def test_after_a_pivot_wherever_it_stands_nothing_can_be_undone(
    steps: Sequence[Any], step: str, decided_by: str
) -> None:
    with pytest.raises(DefinitionError, match=f"cannot come after {decided_by!r}") as refused:
        compile_saga(saga_of(*steps))
    assert refused.value.step == step


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([parallel(remote("a"), [])], "branch 2 of 'join of a' is empty"),
        ([parallel(remote("a"), remote("a"))], "'a': another step has the same name"),
        ([parallel(remote("a"), remote("b"), name="a")], "'a': another step has the same name"),
        ([choosing(remote("way"))], "'way': another step has the same name"),
        ([include(saga_of(remote("a"))), remote("a")], "include\\(prefix=...\\) take one as well"),
        ([include(saga_of())], "it has no steps"),
        ([parallel(remote("a"), ["b"])], "'b' is not a step"),  # type: ignore[list-item]
        ([include(saga_of(remote("a"), data=Payment))], "say which part of the data that is"),
        ([include(saga_of(remote("a" * 100)), prefix="p" * 21)], "longer than 120"),
        ([remote("p", PIVOT), WaitForSignal("a", compensation=work)], "must not have a compensation"),
    ],
)
def test_what_could_not_run_is_refused(steps: Sequence[Any], why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        compile_saga(saga_of(*steps))


def test_a_saga_that_includes_itself_through_another_is_refused() -> None:
    inner, outer = saga_of(remote("a"), name="Inner"), saga_of(remote("b"), name="Outer")
    inner.steps, outer.steps = [include(outer)], [include(inner)]
    for saga in (inner, outer):
        with pytest.raises(DefinitionError, match="includes itself"):
            compile_saga(saga)


# ---- what is allowed ------------------------------------------------------------------------------------------------


@pytest.mark.rule(17)
@pytest.mark.parametrize(
    "steps",
    [
        [parallel(remote("a"), remote("b")), remote("p", PIVOT), parallel(remote("c"), remote("d"))],
        [parallel(remote("r", RETRIABLE), [remote("s", RETRIABLE), remote("t")])],
        [parallel([remote("a"), remote("p", PIVOT), remote("b")])],
        [choosing(remote("p", PIVOT), otherwise=remote("q", PIVOT)), remote("a")],
        [choosing(remote("a"), remote("p", PIVOT)), remote("b")],
        [remote("p", PIVOT), choosing(parallel(remote("a"), remote("b")), otherwise=include(saga_of(remote("c"))))],
    ],
)
def test_a_decision_that_stands_alone_may_stand_anywhere(steps: Sequence[Any]) -> None:
    compile_saga(saga_of(*steps))


def test_kinds_left_open_follow_from_the_place_in_branches_too() -> None:
    way = choosing(remote("p", PIVOT), remote("after"), otherwise=remote("beside"))
    nodes = compile_saga(saga_of(remote("a"), way, remote("z"))).nodes
    kinds = {name: nodes[name].kind for name in ("a", "way", "p", "after", "beside", "end of way", "z")}
    assert kinds == {
        "a": COMPENSATABLE,
        "way": COMPENSATABLE,
        "p": PIVOT,
        "after": RETRIABLE,
        "beside": COMPENSATABLE,
        "end of way": RETRIABLE,
        "z": RETRIABLE,
    }


def test_branches_part_and_meet_at_nodes_of_their_own() -> None:
    definition = compile_saga(saga_of(local("a"), parallel([local("b"), local("c")], local("d")), local("e")))
    edges = {name: node.before for name, node in definition.nodes.items()}
    assert edges == {
        "a": ("b", "d"),
        "b": ("c",),
        "c": ("join of b",),
        "d": ("join of b",),
        "join of b": ("e",),
        "e": (),
    }
    assert definition.last == ("e",)
    assert definition.outline == ("a", Fork(None, "join of b", (("", ("b", "c")), ("", ("d",)))), "e")


def test_parallels_after_one_another_have_edges_in_proportion_to_their_branches() -> None:
    wide = [parallel(*(local(f"{row}.{n}") for n in range(50))) for row in range(2)]
    assert sum(len(node.after) for node in compile_saga(saga_of(*wide)).nodes.values()) == 3 * 50


def test_unnamed_parallels_may_stand_first_in_one_another() -> None:
    nodes = compile_saga(saga_of(parallel(parallel(parallel(local("a"), local("b")), local("c")), local("d")))).nodes
    assert [name for name in nodes if name.startswith("join")] == [
        "join of a",
        "join of join of a",
        "join of join of join of a",
    ]


def test_an_included_saga_works_on_its_part_of_the_data_with_its_own_names() -> None:
    innermost = saga_of(local("charge"), data=Payment, name="Charge")
    inner = saga_of(include(innermost, data=lambda order: order.payment, prefix="card."), data=Order, name="Pay")
    nodes = compile_saga(saga_of(include(inner, prefix="now."), include(inner, prefix="later."), data=Order)).nodes
    assert list(nodes) == ["now.card.charge", "later.card.charge"]
    order = Order()
    view = nodes["later.card.charge"].view
    assert view is not None and view(order) is order.payment


def test_a_child_undoes_itself_unless_its_step_says_otherwise_or_cannot_be_undone() -> None:
    child = saga_of(local("a"), name="Child")
    steps = (
        child_saga("plain", child, work),
        child_saga("own", child, work, compensation=work),
        child_saga("pivot", child, work, kind=PIVOT),
        child_saga("late", child, work),
    )
    nodes = compile_saga(saga_of(*steps)).nodes
    undo = {name: node.undo_command.name if node.undo_command else None for name, node in nodes.items()}
    assert undo == {"plain": "sagas.undo_child.Child", "own": None, "pivot": None, "late": None}
    assert [name for name, node in nodes.items() if node.stopped_by_undoing] == ["plain"]


# ---- drawn at random ------------------------------------------------------------------------------------------------

ORDER = {COMPENSATABLE: 0, PIVOT: 1, RETRIABLE: 2}
kinds = st.lists(st.sampled_from([COMPENSATABLE, PIVOT, RETRIABLE]), min_size=1, max_size=5)


@pytest.mark.rule(17)
@given(kinds)
def test_a_row_of_steps_is_accepted_exactly_when_its_kinds_are_in_order(drawn: list[StepKind]) -> None:
    in_order = [ORDER[kind] for kind in drawn] == sorted(ORDER[kind] for kind in drawn) and drawn.count(PIVOT) <= 1
    assert accepted([SyncStep(f"s{n}", action=work, kind=kind) for n, kind in enumerate(drawn)]) is in_order


@pytest.mark.rule(17)
@given(st.lists(kinds, min_size=2, max_size=3), st.booleans())
def test_branches_are_accepted_exactly_when_all_can_be_undone_or_none_can_fail(
    drawn: list[list[StepKind]], nested: bool
) -> None:
    branches: list[Any] = [
        [SyncStep(f"s{row}.{n}", action=work, kind=kind) for n, kind in enumerate(branch)]
        for row, branch in enumerate(drawn)
    ]
    if nested:
        branches[0] = [parallel(branches[0], name="only")]
    every = {kind for branch in drawn for kind in branch}
    assert accepted([parallel(*branches, name="all")]) is (every in ({COMPENSATABLE}, {RETRIABLE}))


def accepted(steps: Sequence[Any]) -> bool:
    try:
        compile_saga(saga_of(*steps, data=Data))
    except DefinitionError as refused:
        assert refused.step is not None
        return False
    return True


def test_a_saga_that_would_always_start_itself_again_is_refused_unless_a_choice_decides() -> None:
    looping, deciding = saga_of(local("a"), name="Looping"), saga_of(local("a"), name="Deciding")
    looping.steps = (local("a"), child_saga("again", looping, work))
    deciding.steps = (local("a"), choice(when(work, child_saga("again", deciding, work))))
    for saga in (looping, deciding):
        known = {saga.name: compile_saga(saga)}
        if saga is looping:
            with pytest.raises(DefinitionError, match="a step of its own child: there would be no end"):
                refuse_bad_children(known[saga.name], known)
        else:
            refuse_bad_children(known[saga.name], known)


def test_sagas_that_include_each_other_at_the_head_of_a_parallel_are_refused() -> None:
    one, other = saga_of(local("a"), name="One"), saga_of(local("b"), name="Other")
    one.steps = (parallel(include(other), local("c")),)
    other.steps = (parallel(include(one), local("d")),)
    with pytest.raises(DefinitionError, match="which includes itself"):
        compile_saga(one)
