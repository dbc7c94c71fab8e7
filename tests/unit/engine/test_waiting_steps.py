"""Steps that wait for somebody or for time, and commands that nobody awaits."""

from __future__ import annotations

from typing import Any

import pytest

from sagas_framework import PIVOT, RETRIABLE, SagaStatus, Sleep, WaitForSignal, choice, parallel, send, when
from sagas_framework.engine.clock import next_due
from sagas_framework.engine.protocol import Cancel, Pause, Refuse, Resume, Retry, Signal, UserCode
from sagas_framework.engine.state import Phase
from sagas_framework.vocabulary.identity import Direction
from tests.unit.engine.definitions import UNDO, nothing
from tests.unit.engine.play import Play, local, remote


def approval(**more: Any) -> WaitForSignal:
    return WaitForSignal("approval", action=nothing, on_signal=nothing, **more)


def begun(*steps: Any, **more: Any) -> Play:
    play = Play(*steps, **more)
    play.start()
    return play


def signal(play: Play, payload: object = None, name: str = "approval") -> str | None:
    """Why it was refused, if it was."""
    effects = play.give(Signal(play.now, name, payload), play.raises)
    return next((effect.reason for effect in effects if isinstance(effect, Refuse)), None)


# ---- signals --------------------------------------------------------------------------------------------------------


def test_a_signal_lets_the_step_go_on() -> None:
    play = begun(approval(), remote("last"))
    assert play.state.steps["approval"].dormant and next_due(play.definition, play.state) is None
    assert signal(play) is None
    assert play.phase("approval") is Phase.DONE and play.is_asked() == {"last"}


def test_a_signal_that_comes_early_is_kept_until_its_step_begins() -> None:
    play = begun(remote("first"), approval(), remote("last"))
    assert signal(play, {"by": "Ann"}) is None
    assert play.state.signals == {"approval": {"by": "Ann"}}
    play.succeed("first")
    assert play.is_asked() == {"last"} and not play.state.signals


@pytest.mark.parametrize("early", [True, False])
def test_a_second_signal_is_refused(early: bool) -> None:
    play = begun(*([remote("first")] if early else []), approval(), remote("last"))
    assert signal(play, "the first") is None
    assert "has come already" in str(signal(play, "the second"))


def test_a_signal_that_no_step_waits_for_is_refused_and_told_which_there_are() -> None:
    assert "it has: approval" in str(signal(begun(approval()), name="aproval"))


def test_a_signal_for_a_step_in_a_branch_left_out_is_refused() -> None:
    play = begun(
        choice(when(nothing, approval(), label="ask"), name="way"), remote("last"), returns={"way": "otherwise"}
    )
    assert "left out" in str(signal(play))


def test_early_signals_for_a_branch_that_is_then_left_out_harm_nobody() -> None:
    way = choice(when(nothing, approval(), label="ask"), name="way")
    play = begun(remote("first"), way, remote("last"), returns={"way": "otherwise"})
    assert signal(play) is None
    play.succeed("first", "last")
    assert play.status() is SagaStatus.SUCCEEDED and not play.state.signals


def test_a_signal_for_a_saga_that_is_over_or_being_undone_is_refused() -> None:
    play = begun(remote("first"), remote("second"), approval())
    play.succeed("first")
    play.refuse("second")
    assert "being compensated" in str(signal(play))
    play.succeed("first")
    assert "ended" in str(signal(play))


def test_a_function_that_refuses_the_signal_fails_the_step_and_has_it_undone() -> None:
    play = begun(local("first"), approval(compensation=nothing))
    play.raising = {("approval", UserCode.ON_SUCCESS)}
    signal(play)
    assert play.status() is SagaStatus.FAILED and play.state.failed_step == "approval"
    assert play.log == [("do", "first"), ("do", "approval"), ("undo", "approval"), ("undo", "first")]


def test_a_signal_that_does_not_come_in_time_fails_the_step() -> None:
    play = begun(remote("first"), approval(timeout_seconds=60.0, compensation=nothing))
    play.succeed("first")
    assert next_due(play.definition, play.state) == play.now + 60.0
    play.wait(60.0)
    assert play.state.failure is not None and play.state.failure.type == "SignalTimeout"
    assert ("undo", "approval") in play.log and play.phase("first") is Phase.UNDOING


def test_past_the_point_of_no_return_a_signal_that_does_not_come_needs_attention_and_may_still_come() -> None:
    late, twice = (begun(local("pivot", compensation=None, kind=PIVOT), approval(timeout_seconds=60.0)) for _ in "ab")
    late.wait(60.0)
    assert late.status() is SagaStatus.NEEDS_ATTENTION
    assert signal(late) is None and late.status() is SagaStatus.SUCCEEDED

    twice.wait(60.0)
    twice.play(Retry(twice.now, "they have been reminded"))
    assert twice.status() is SagaStatus.RUNNING and next_due(twice.definition, twice.state) == twice.now + 60.0


@pytest.mark.parametrize(("compensation", "becomes"), [(None, Phase.SKIPPED), (nothing, Phase.UNDONE)])
def test_who_waits_for_a_signal_is_not_waited_for_when_the_saga_turns_round(compensation: Any, becomes: Phase) -> None:
    play = begun(approval(compensation=compensation))
    play.play(Cancel(play.now, "enough"))
    assert play.status() is SagaStatus.FAILED and play.phase("approval") is becomes


def test_a_failure_beside_it_waits_for_the_signal_where_all_are_to_finish() -> None:
    play = begun(parallel(remote("a"), [approval(compensation=nothing), remote("b")]))
    play.refuse("a")
    signal(play)
    assert play.is_asked() == {"b"}
    play.succeed("b", "b")
    assert play.status() is SagaStatus.FAILED and ("undo", "approval") in play.log


def test_a_signal_kept_for_what_follows_the_pivot_outlives_a_cancellation_that_the_pivot_outruns() -> None:
    play = begun(remote("pivot", compensation=None, kind=PIVOT), approval(), remote("last", compensation=None))
    signal(play)
    play.play(Cancel(play.now, "enough"))
    play.succeed("pivot")
    assert play.is_asked() == {"last"}


def test_a_signal_during_a_pause_counts_and_the_next_step_waits_for_the_end_of_the_pause() -> None:
    play = begun(approval(), remote("last"))
    play.play(Pause(play.now, "wait"))
    assert signal(play) is None
    assert play.phases("approval", "last") == [Phase.DONE, Phase.WAITING]
    play.play(Resume(play.now, "go on"))
    assert play.is_asked() == {"last"}


# ---- sleep ----------------------------------------------------------------------------------------------------------


def test_a_sleep_ends_when_its_time_has_come_and_not_before() -> None:
    play = begun(Sleep("nap", 60.0), remote("last"), returns={"nap": 60.0})
    assert next_due(play.definition, play.state) == play.now + 60.0
    play.wait(59.0)
    assert play.phase("nap") is Phase.ACTING
    play.wait(1.0)
    assert play.is_asked() == {"last"}


def test_nobody_waits_for_a_sleeper_when_the_saga_turns_round() -> None:
    play = begun(parallel(Sleep("nap", 60.0), remote("b"), remote("c")), returns={"nap": 60.0}, deadline_seconds=90.0)
    play.succeed("c")
    play.play(Cancel(play.now, "enough"))
    assert play.phases("nap", "b", "c") == [Phase.SKIPPED, Phase.ACTING, Phase.UNDOING]


def test_a_sleep_goes_on_during_a_pause_and_ends_after_it() -> None:
    play = begun(Sleep("nap", 60.0), remote("last"), returns={"nap": 60.0})
    play.play(Pause(play.now, "wait"))
    play.wait(100.0)
    assert play.phase("nap") is Phase.ACTING
    play.play(Resume(play.now, "go on"))
    play.wait(0.0)
    assert play.is_asked() == {"last"}


# ---- fire and forget ------------------------------------------------------------------------------------------------


def test_a_command_that_nobody_awaits_is_sent_once_and_the_saga_goes_on_at_once() -> None:
    play = begun(remote("mail", compensation=None, awaited=False), remote("last"))
    assert play.phase("mail") is Phase.DONE and play.is_asked() == {"last"}
    play.wait(1_000.0)
    assert [sent.step for sent in play.commands if not sent.awaited] == ["mail"]


def test_what_was_sent_without_awaiting_it_may_have_been_done_and_is_undone() -> None:
    play = begun(remote("mail", awaited=False), remote("last"))
    play.refuse("last")
    assert play.phase("mail") is Phase.UNDOING


def test_an_undoing_that_nobody_awaits_is_sent_and_counts_as_done() -> None:
    play = begun(remote("first", compensation=send(UNDO, nothing, awaited=False)), remote("last"))
    play.succeed("first")
    sent_before = len(play.commands)
    play.refuse("last")
    assert play.status() is SagaStatus.FAILED
    assert [(s.step, s.direction) for s in play.commands[sent_before:]] == [("first", Direction.COMPENSATION)]


def test_nothing_is_sent_for_a_step_whose_saga_turned_round_while_it_was_called() -> None:
    play = Play(parallel(local("a"), remote("mail", awaited=False), remote("b"), fail_fast=True))
    play.raising = {("a", UserCode.ACTION)}
    play.start()
    assert play.status() is SagaStatus.FAILED and not play.commands
    assert play.phases("mail", "b") == [Phase.SKIPPED, Phase.SKIPPED]


def test_nor_while_the_saga_only_waits_for_other_branches_to_finish() -> None:
    lost = parallel(local("a"), remote("b"), remote("mail", awaited=False), fail_fast=True)
    play = Play(parallel(lost, remote("far")))
    play.raising = {("a", UserCode.ACTION)}
    play.start()
    assert [sent.step for sent in play.commands] == ["far"] and play.status() is SagaStatus.RUNNING
    assert play.phases("b", "mail") == [Phase.SKIPPED, Phase.SKIPPED]


def test_what_was_done_to_wait_for_a_signal_is_undone_though_nobody_waited() -> None:
    play = Play(parallel(local("a"), approval(compensation=nothing), fail_fast=True))
    play.raising = {("a", UserCode.ACTION)}
    play.start()
    assert play.log == [("do", "approval"), ("undo", "approval")]


@pytest.mark.parametrize("second_is_good", [True, False])
def test_past_the_point_of_no_return_another_signal_takes_the_place_of_one_that_was_refused(
    second_is_good: bool,
) -> None:
    play = begun(local("pivot", compensation=None, kind=PIVOT), approval())
    play.raising = {("approval", UserCode.ON_SUCCESS)}
    signal(play, "illegible")
    assert play.status() is SagaStatus.NEEDS_ATTENTION
    if second_is_good:
        play.raising.clear()
    assert signal(play, "legible") is None
    if second_is_good:
        assert play.status() is SagaStatus.SUCCEEDED
    else:
        assert play.state.steps["approval"].reply == "legible" and play.status() is SagaStatus.NEEDS_ATTENTION


@pytest.mark.rule(17)
@pytest.mark.parametrize("cancelled", [True, False])
def test_a_deadline_that_passed_while_the_pivot_was_in_flight_counts_when_it_takes_the_saga_forward(
    cancelled: bool,
) -> None:
    pivot, last = (remote("pivot", compensation=None, kind=PIVOT), remote("last", compensation=None, kind=RETRIABLE))
    play = begun(pivot, last, deadline_seconds=60.0)
    if cancelled:
        play.play(Cancel(play.now, "enough"))
    play.wait(60.0)
    assert play.state.failing
    due = next_due(play.definition, play.state)
    assert due is not None and due > play.now, "while it is undone, nobody need look at the deadline"
    play.succeed("pivot")
    assert next_due(play.definition, play.state) == play.state.deadline_at
    play.wait(0.0)
    assert play.state.overdue and play.status() is SagaStatus.NEEDS_ATTENTION and play.is_asked() == {"last"}
