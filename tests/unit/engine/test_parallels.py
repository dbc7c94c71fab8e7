"""Branches side by side: what begins, what waits, and in which order they are undone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas_framework import (
    PIVOT,
    RETRIABLE,
    RetryPolicy,
    SagaStatus,
    Sleep,
    SyncStep,
    WaitForSignal,
    include,
    parallel,
)
from sagas_framework.engine.protocol import Cancel, Confirmed, Pause, Resume, Retry, UserCode
from sagas_framework.engine.state import Phase
from tests.unit.engine.definitions import TIMING, nothing, saga_of
from tests.unit.engine.play import Play, local, remote

DONE, FAILED, UNDOING, UNDONE, WAITING = Phase.DONE, Phase.FAILED, Phase.UNDOING, Phase.UNDONE, Phase.WAITING


def begun(*steps: object, **more: object) -> Play:
    play = Play(*steps, **more)  # type: ignore[arg-type]
    play.start()
    return play


# ---- forward --------------------------------------------------------------------------------------------------------


def test_all_branches_are_asked_at_once_and_what_follows_waits_for_all_of_them() -> None:
    play = begun(remote("first"), parallel([remote("a1"), remote("a2")], remote("b")), remote("last"))
    assert play.is_asked() == {"first"}
    play.succeed("first")
    assert play.is_asked() == {"a1", "b"}
    play.succeed("b", "a1")
    assert play.is_asked() == {"a2"}
    play.succeed("a2")
    assert play.is_asked() == {"last"}
    play.succeed("last")
    assert play.status() is SagaStatus.SUCCEEDED


def test_parallels_stand_in_parallels_and_included_steps_stand_where_they_are_included() -> None:
    inner = saga_of(remote("x"), parallel(remote("y"), remote("z")))
    play = begun(parallel([include(inner, prefix="one."), remote("a")], include(inner, prefix="two.")))
    assert play.is_asked() == {"one.x", "two.x"}
    play.succeed("one.x")
    assert play.is_asked() == {"one.y", "one.z", "two.x"}
    play.succeed("one.y", "two.x", "one.z")
    assert play.is_asked() == {"a", "two.y", "two.z"}


def test_retriable_steps_side_by_side_after_the_pivot_are_tried_until_they_succeed() -> None:
    policy = RetryPolicy(max_attempts=1)
    branch = remote("a", compensation=None, kind=RETRIABLE, retry=policy)
    play = begun(
        remote("pivot", kind=PIVOT), parallel(branch, remote("b", compensation=None)), local("z", compensation=None)
    )
    play.succeed("pivot")
    play.refuse("a")
    assert play.status() is SagaStatus.NEEDS_ATTENTION
    play.succeed("b")
    play.play(Retry(play.now, "the kitchen is open again"))
    play.succeed("a")
    assert play.status() is SagaStatus.SUCCEEDED


# ---- failing --------------------------------------------------------------------------------------------------------


def test_wait_all_lets_the_other_branches_finish_before_anything_is_undone() -> None:
    play = begun(remote("first"), parallel(remote("a"), [remote("b1"), remote("b2")]), remote("last"))
    play.succeed("first")
    play.refuse("a")
    assert play.status() is SagaStatus.RUNNING and play.is_asked() == {"b1"}
    play.succeed("b1")
    assert play.is_asked() == {"b2"}, "what stands beside the failed step still begins"
    play.succeed("b2")
    assert play.status() is SagaStatus.COMPENSATING
    assert play.phases("a", "b2", "b1", "first", "last") == [FAILED, UNDOING, DONE, DONE, WAITING]
    assert play.state.failure is not None
    assert (play.state.failed_step, play.state.failure.type) == ("a", "Refused")


def test_fail_fast_begins_nothing_new_and_undoes_what_is_under_way_when_it_has_answered() -> None:
    play = begun(remote("first"), parallel(remote("a"), [remote("b1"), remote("b2")], remote("c"), fail_fast=True))
    play.succeed("first", "c")
    play.refuse("a")
    assert play.status() is SagaStatus.COMPENSATING
    assert play.phases("b1", "c", "first") == [Phase.ACTING, UNDOING, DONE], "c need not wait for b1"
    play.succeed("b1")
    assert play.phases("b1", "b2") == [UNDOING, WAITING]
    play.succeed("c", "b1")
    assert play.phase("first") is UNDOING, "and the step before them waits for both"


def test_the_branches_of_a_failed_step_are_undone_at_once_and_each_in_reverse() -> None:
    branches = [[remote(f"{name}1"), remote(f"{name}2")] for name in "ab"]
    play = begun(parallel(*branches), remote("last", compensation=None))
    play.succeed("a1", "b1", "a2", "b2")
    play.refuse("last")
    assert play.is_asked() == {"a2", "b2"}
    play.succeed("a2")
    assert play.is_asked() == {"a1", "b2"}
    play.succeed("a1", "b2", "b1")
    assert play.status() is SagaStatus.FAILED


@pytest.mark.parametrize(
    ("outer_fails_fast", "inner_fails_fast", "goes_on"),
    [
        (False, False, {"beside", "far"}),
        (False, True, {"far"}),
        (True, False, {"beside"}),
        (True, True, set()),
    ],
)
def test_each_parallel_round_a_failed_step_says_for_itself_whether_its_branches_finish(
    outer_fails_fast: bool, inner_fails_fast: bool, goes_on: set[str]
) -> None:
    """`beside` and `far` come after a step that was under way when the failure came."""
    near = parallel(remote("bad"), [remote("near"), remote("beside")], fail_fast=inner_fails_fast)
    play = begun(parallel(near, [remote("distant"), remote("far")], fail_fast=outer_fails_fast))
    play.refuse("bad")
    play.succeed("near", "distant")
    actions = {name for name in play.is_asked() if play.phase(name) is Phase.ACTING}
    assert actions == goes_on


def test_two_failures_in_a_wait_all_are_told_as_the_first() -> None:
    play = begun(parallel(remote("a"), remote("b"), remote("c")))
    play.refuse("b", "a")
    assert play.state.halted == ("b", "a")
    play.succeed("c")
    assert play.state.failed_step == "b" and play.phases("a", "b", "c") == [FAILED, FAILED, UNDOING]


def test_a_refused_reply_in_a_wait_all_is_undone_with_the_others() -> None:
    play = Play(parallel(remote("a", on_success=nothing), remote("b")))
    play.raising = {("a", UserCode.ON_SUCCESS)}
    play.start()
    play.succeed("a")
    assert play.state.halted == ("a",) and play.phase("a") is DONE
    play.succeed("b")
    assert play.phases("a", "b") == [UNDOING, UNDOING]


def test_giving_up_in_a_wait_all_waits_for_the_others_and_is_undone_with_them() -> None:
    play = begun(parallel(remote("silent"), [remote("b1"), remote("b2")]))
    play.succeed("b1")
    play.wait(TIMING.ask_again_after_seconds)
    silent = play.state.steps["silent"].awaited
    assert silent is not None
    play.play(Confirmed(play.now, frozenset({silent.message_id})))
    play.wait(TIMING.give_up_after_seconds)
    assert play.status() is SagaStatus.RUNNING and play.phase("silent") is Phase.UNKNOWN
    play.succeed("b2")
    assert play.phases("silent", "b2", "b1") == [UNDOING, UNDOING, DONE]


# ---- operators and time ---------------------------------------------------------------------------------------------


def test_a_cancellation_does_not_wait_for_the_branches_beside_a_failed_step() -> None:
    play = begun(parallel(remote("a"), [remote("b1"), remote("b2")], remote("c")))
    play.succeed("c")
    play.refuse("a")
    play.play(Cancel(play.now, "enough"))
    assert play.phases("b1", "c") == [Phase.ACTING, UNDOING] and not play.state.halted
    play.succeed("b1")
    assert play.phases("b1", "b2") == [UNDOING, WAITING]


def test_the_deadline_does_not_wait_for_them_either() -> None:
    play = begun(parallel(remote("a"), remote("b"), remote("c")), deadline_seconds=60.0)
    play.succeed("c")
    play.refuse("a")
    play.wait(60.0)
    assert play.state.failure is not None and play.state.failure.type == "DeadlineExceeded"
    assert play.phases("b", "c") == [Phase.ACTING, UNDOING]


def test_a_saga_paused_while_others_finish_turns_round_when_it_is_resumed() -> None:
    play = begun(parallel(remote("a"), [remote("b1"), remote("b2")]))
    play.refuse("a")
    play.play(Pause(play.now, "wait"))
    play.succeed("b1")
    assert play.phase("b2") is WAITING
    play.play(Resume(play.now, "go on"))
    play.refuse("b2")
    assert play.phases("a", "b1", "b2") == [FAILED, UNDOING, FAILED]


def test_an_answer_that_kills_its_worker_is_asked_for_again_as_the_same_attempt() -> None:
    play = begun(parallel(remote("a"), remote("b")))
    play.poison("a")
    awaited = play.state.steps["a"].awaited
    assert play.status() is SagaStatus.NEEDS_ATTENTION and awaited is not None
    play.wait(1_000.0)
    assert play.state.steps["a"].stuck, "nobody asks until an operator says so"
    play.play(Retry(play.now, "mended"))
    sent_before = len(play.commands)
    play.wait(0.0)
    assert awaited.message_id in [sent.message_id for sent in play.commands[sent_before:]]
    play.succeed("a", "b")
    assert play.status() is SagaStatus.SUCCEEDED


def test_what_is_stuck_on_an_answer_is_undone_when_the_saga_is_cancelled() -> None:
    play = begun(parallel(remote("a"), remote("b")))
    play.succeed("b")
    play.poison("a")
    play.play(Cancel(play.now, "enough"))
    assert play.phases("a", "b") == [UNDOING, UNDOING]


# ---- the point of no return -----------------------------------------------------------------------------------------


def test_a_pivot_whose_answer_kills_its_worker_is_never_taken_for_undone() -> None:
    play = begun(remote("first"), remote("pivot", kind=PIVOT, compensation=None), remote("last", compensation=None))
    play.succeed("first")
    play.poison("pivot")
    play.play(Cancel(play.now, "enough"))
    assert play.phases("first", "pivot") == [DONE, Phase.ACTING]
    play.play(Retry(play.now, "mended"))
    play.succeed("pivot")
    assert play.status() is SagaStatus.RUNNING and play.is_asked() == {"last"}


def test_a_local_pivot_that_is_tried_as_the_deadline_passes_takes_the_saga_forward() -> None:
    policy = RetryPolicy(max_attempts=3, initial_delay_seconds=60.0)
    pivot = SyncStep("pivot", action=nothing, kind=PIVOT, retry=policy)
    play = Play(remote("first"), pivot, remote("last", compensation=None), deadline_seconds=60.0)
    play.start()
    play.raising, play.transient = {("pivot", UserCode.ACTION)}, True
    play.succeed("first")
    assert play.state.steps["pivot"].retry_at is not None
    play.raising.clear()
    play.wait(60.0)
    assert play.phases("first", "pivot") == [DONE, DONE] and play.is_asked() == {"last"}
    assert ("going_forward", "pivot") in play.told


# ---- drawn at random ------------------------------------------------------------------------------------------------

shapes = st.lists(st.integers(1, 3), min_size=2, max_size=4)


@given(shapes, st.data())
def test_beside_a_failed_step_every_other_branch_finishes_in_a_wait_all(
    lengths: list[int], data: st.DataObject
) -> None:
    play, bad = in_parallel(lengths, False, data)
    while actions := [name for name in sorted(play.is_asked()) if play.phase(name) is Phase.ACTING]:
        play.succeed(data.draw(st.sampled_from(actions)))
    for branch, length in enumerate(lengths):
        begun_steps = [name for name in play.state.steps if name.startswith(f"{branch}.")]
        assert len(begun_steps) == length or bad.startswith(f"{branch}.")
    play.drive()
    assert play.status() is SagaStatus.FAILED


@given(shapes, st.data())
def test_after_a_failure_in_a_fail_fast_nothing_begins(lengths: list[int], data: st.DataObject) -> None:
    play, _ = in_parallel(lengths, True, data)
    begun_before = set(play.state.steps)
    play.drive()
    assert set(play.state.steps) == begun_before and play.status() is SagaStatus.FAILED


def in_parallel(lengths: list[int], fail_fast: bool, data: st.DataObject) -> tuple[Play, str]:
    """Somewhere on its way through the branches one step fails."""
    branches = [[remote(f"{branch}.{n}") for n in range(length)] for branch, length in enumerate(lengths)]
    play = begun(parallel(*branches, fail_fast=fail_fast))
    for _ in range(data.draw(st.integers(0, sum(lengths) - 1))):
        play.succeed(data.draw(st.sampled_from(sorted(play.is_asked()))))
    bad = data.draw(st.sampled_from(sorted(play.is_asked())))
    play.refuse(bad)
    return play, bad


def test_a_wait_all_inside_a_fail_fast_waits_for_its_own_branches_only() -> None:
    inner = parallel(remote("f"), remote("g"))
    play = begun(parallel([inner], [WaitForSignal("approval")], [Sleep("a month", 30 * 86_400.0)], fail_fast=True))
    play.refuse("f")
    assert play.status() is SagaStatus.RUNNING, "g stands beside it and may finish"
    play.succeed("g")
    assert play.status() is SagaStatus.COMPENSATING and play.is_asked() == {"g"}


def test_a_branch_that_has_failed_whole_does_not_wait_for_another_failed_branch_of_a_fail_fast() -> None:
    play = begun(parallel([parallel(remote("f"), remote("g"))], [parallel(remote("x"), remote("y"))], fail_fast=True))
    play.refuse("f", "x")
    assert play.status() is SagaStatus.RUNNING
    play.succeed("g")
    assert play.status() is SagaStatus.COMPENSATING and play.state.failed_step == "f"


@pytest.mark.parametrize("paused", [True, False])
def test_after_an_operators_act_a_step_is_given_up_only_when_it_was_asked_again_in_vain(paused: bool) -> None:
    play = begun(remote("a"))
    play.wait(TIMING.ask_again_after_seconds)
    play.play(Confirmed(play.now, frozenset([play.commands[0].message_id])))
    if paused:
        play.play(Pause(play.now, "maintenance"))
    play.now += TIMING.give_up_after_seconds
    play.play((Resume if paused else Retry)(play.now, "go on"))
    play.wait(0.0)
    assert not play.events("gave_up") and len(play.commands) == 3
    play.play(Confirmed(play.now, frozenset([play.commands[0].message_id])))
    play.wait(TIMING.give_up_after_seconds)
    assert "a" in play.events("gave_up")
