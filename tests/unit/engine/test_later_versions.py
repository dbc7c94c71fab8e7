"""A saga was deployed with more steps than a running instance began with."""

from __future__ import annotations

from typing import Any

import pytest

from sagas_framework import SagaStatus, choice, parallel, when
from sagas_framework.definition.compiler import compile_saga
from sagas_framework.engine.protocol import Pause, Resume, Start
from sagas_framework.engine.state import Phase
from tests.unit.engine.always import Order
from tests.unit.engine.definitions import TIMING, nothing, saga_of
from tests.unit.engine.play import Play, remote


def begun(*steps: Any, **more: Any) -> Play:
    play = Play(*steps, **more)
    play.play(Start(play.now))
    return play


def deploy(play: Play, *steps: Any) -> None:
    play.definition = compile_saga(saga_of(*steps), TIMING)
    play._order = Order(play.definition)


def test_a_branch_added_to_a_parallel_begins_when_the_branches_that_were_there_have_ended() -> None:
    play = begun(parallel(remote("a"), remote("b"), name="both"), remote("last"))
    play.succeed("a")
    deploy(play, parallel(remote("a"), remote("b"), [remote("c"), remote("d")], name="both"), remote("last"))
    play.succeed("b")
    assert play.is_asked() == {"c"}
    play.succeed("c", "d", "last")
    assert play.status() is SagaStatus.SUCCEEDED


@pytest.mark.parametrize("paused", [True, False])
def test_a_step_added_to_a_branch_that_was_left_out_is_left_out_too(paused: bool) -> None:
    way = choice(when(nothing, remote("card"), label="by card"), otherwise=remote("invoice"), name="way")
    longer = choice(
        when(nothing, remote("card"), label="by card"), otherwise=[remote("invoice"), remote("stamp")], name="way"
    )
    play = begun(way, remote("last"), returns={"way": "by card"})
    deploy(play, longer, remote("last"))
    if paused:
        play.play(Pause(play.now, "deployment"))
        play.play(Resume(play.now, "deployed"))
    assert play.is_asked() == {"card"}
    play.succeed("card", "last")
    assert play.status() is SagaStatus.SUCCEEDED and play.phase("stamp") is Phase.SKIPPED


def test_an_otherwise_that_is_added_later_changes_nothing_for_who_has_chosen() -> None:
    play = begun(choice(when(nothing, remote("gift"), label="a gift"), name="way"), returns={"way": "a gift"})
    deploy(play, choice(when(nothing, remote("gift"), label="a gift"), otherwise=remote("card"), name="way"))
    play.succeed("gift")
    assert play.status() is SagaStatus.SUCCEEDED and play.phase("card") is Phase.SKIPPED


def test_an_otherwise_that_is_added_while_a_later_step_runs_does_not_hold_up_who_had_nothing_else_to_do() -> None:
    gift = when(nothing, remote("gift"), label="a gift")
    play = begun(choice(gift, name="way"), remote("last"), returns={"way": "otherwise"})
    deploy(play, choice(gift, otherwise=remote("card"), name="way"), remote("last"))
    play.succeed("last")
    assert play.status() is SagaStatus.SUCCEEDED
