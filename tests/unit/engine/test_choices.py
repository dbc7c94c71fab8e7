"""One branch or another: chosen once, and the others are as if they had never been written."""

from __future__ import annotations

from typing import Any

import pytest

from sagas_framework import PIVOT, RETRIABLE, RetryPolicy, SagaStatus, choice, parallel, when
from sagas_framework.engine.protocol import Retry, UserCode
from sagas_framework.engine.state import Phase
from tests.unit.engine.definitions import nothing
from tests.unit.engine.play import Play, local, remote


def choosing(chosen: str, *steps: Any, **more: Any) -> Play:
    play = Play(*steps, returns={"way": chosen}, **more)
    play.start()
    return play


CARD_OR_INVOICE = choice(
    when(nothing, remote("card"), remote("receipt"), label="by card"), otherwise=remote("invoice"), name="way"
)


@pytest.mark.parametrize(("chosen", "asked"), [("by card", ["card", "receipt"]), ("otherwise", ["invoice"])])
def test_only_the_chosen_branch_is_walked(chosen: str, asked: list[str]) -> None:
    play = choosing(chosen, CARD_OR_INVOICE, remote("last"))
    play.succeed(*asked, "last")
    assert play.status() is SagaStatus.SUCCEEDED
    assert [sent.step for sent in play.commands] == [*asked, "last"]
    left_out = {"card", "receipt", "invoice"} - set(asked)
    assert {play.phase(name) for name in left_out} == {Phase.SKIPPED}


def test_a_choice_is_asked_once_whatever_its_condition_would_say_later() -> None:
    play = choosing("by card", CARD_OR_INVOICE)
    play.returns["way"] = "otherwise"
    play.play(Retry(play.now, "impatient"))
    play.succeed("card")
    assert play.state.steps["way"].chosen == "by card" and play.is_asked() == {"receipt"}


def test_with_no_condition_that_holds_and_nothing_else_to_do_the_saga_goes_on_after_the_choice() -> None:
    play = choosing("otherwise", choice(when(nothing, remote("gift"), label="a gift"), name="way"), remote("last"))
    assert play.is_asked() == {"last"} and play.phase("gift") is Phase.SKIPPED


@pytest.mark.parametrize("chosen", ["a gift", "otherwise"])
def test_a_choice_may_be_the_last_thing_and_lead_to_nothing(chosen: str) -> None:
    play = choosing(chosen, choice(when(nothing, label="a gift"), name="way"))
    assert play.status() is SagaStatus.SUCCEEDED


def test_all_that_stands_in_a_branch_left_out_is_left_out_choices_and_parallels_too() -> None:
    inner = choice(when(nothing, parallel(remote("a"), remote("b")), label="both"), name="inner")
    play = choosing(
        "otherwise", choice(when(nothing, inner, label="in"), otherwise=remote("c"), name="way"), remote("z")
    )
    assert play.is_asked() == {"c"}
    assert set(play.phases("inner", "a", "b", "join of a", "end of inner")) == {Phase.SKIPPED}
    play.succeed("c", "z")
    assert play.status() is SagaStatus.SUCCEEDED


def test_a_parallel_of_choices_that_all_choose_nothing_is_over_at_once() -> None:
    empty = [choice(when(nothing, remote(name), label=f"with {name}"), name=f"way {name}") for name in "ab"]
    play = Play(parallel(*empty), remote("last"), returns={"way a": "otherwise", "way b": "otherwise"})
    play.start()
    assert play.is_asked() == {"last"}


def test_only_the_chosen_branch_is_undone() -> None:
    play = choosing("by card", remote("first"), CARD_OR_INVOICE, remote("last"))
    play.succeed("first", "card", "receipt")
    play.refuse("last")
    undone = []
    while play.status() is SagaStatus.COMPENSATING:
        (undoing,) = play.is_asked()
        undone.append(undoing)
        play.succeed(undoing)
    assert undone == ["receipt", "card", "first"] and play.phase("invoice") is Phase.SKIPPED


def test_a_condition_that_raises_fails_the_saga_before_the_pivot() -> None:
    play = Play(local("first"), CARD_OR_INVOICE)
    play.raising = {("way", UserCode.ACTION)}
    play.start()
    assert play.status() is SagaStatus.FAILED and play.state.failed_step == "way"
    assert play.log == [("do", "first"), ("undo", "first")]


def test_a_condition_that_raises_after_the_pivot_is_asked_again() -> None:
    play = Play(local("pivot", compensation=None, kind=PIVOT), choice(when(nothing, label="a gift"), name="way"))
    play.raising = {("way", UserCode.ACTION)}
    play.start()
    assert play.status() is SagaStatus.RUNNING
    play.raising.clear()
    play.wait(1.0)
    assert play.status() is SagaStatus.SUCCEEDED


def test_a_pivot_may_stand_in_a_branch_and_without_it_the_first_retriable_step_decides() -> None:
    pivot = remote("pivot", compensation=None, kind=PIVOT)
    retriable = remote("after", compensation=None, kind=RETRIABLE, retry=RetryPolicy(max_attempts=1))
    steps = (remote("first"), choice(when(nothing, pivot, label="it counts"), name="way"), retriable)

    decided = choosing("it counts", *steps)
    decided.succeed("first", "pivot")
    decided.refuse("after")
    assert decided.status() is SagaStatus.NEEDS_ATTENTION

    undecided = choosing("otherwise", *steps)
    undecided.succeed("first")
    undecided.refuse("after")
    assert undecided.status() is SagaStatus.NEEDS_ATTENTION, "a retriable step has begun: nothing is undone"


def test_a_pivot_in_a_branch_that_is_refused_undoes_what_came_before() -> None:
    play = choosing(
        "it counts", remote("first"), choice(when(nothing, remote("p", kind=PIVOT), label="it counts"), name="way")
    )
    play.succeed("first")
    play.refuse("p")
    assert play.phases("p", "first") == [Phase.FAILED, Phase.UNDOING]
