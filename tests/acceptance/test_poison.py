"""A message that kills its worker every time ends with the operator, and the others of its batch are done."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.toy.system import (
    END_SECONDS,
    ORCHESTRATOR,
    PARTICIPANT,
    PARTICIPANT_IN_BATCHES,
    Toy,
    toy_system,
)

pytestmark = pytest.mark.slow
INNOCENT = 30


@pytest.fixture(params=["embedded", pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql])])
def toy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Toy]:
    with toy_system(request.param, tmp_path) as toy:
        yield toy


def data_with_one_bad(**bad: bool) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = [{"number": number} for number in range(INNOCENT)]
    data[INNOCENT // 2].update(bad)
    return data


def test_a_reply_that_kills_the_orchestrator_is_kept_and_the_others_of_its_batch_are_done(toy: Toy) -> None:
    """Design rule 11."""
    toy.launch(*data_with_one_bad(kill_orchestrator=True))
    toy.start(PARTICIPANT)
    toy.wait_until(
        lambda: (
            toy.rows("TOY", "SELECT count(*) FROM saga_participant_memory WHERE outcome IS NOT NULL") == [(INNOCENT,)]
        ),
        END_SECONDS,
        toy.all_logs,
    )  # all replies wait in the queue: the orchestrator gets them as one batch
    toy.start(ORCHESTRATOR, wait=False)
    deaths = toy.restart_whenever_it_dies_until_something_is_kept(ORCHESTRATOR, "ORCHESTRATOR")
    assert deaths <= 5
    toy.wait_until(lambda: toy.statuses()["succeeded"] == INNOCENT - 1, END_SECONDS, toy.all_logs)
    toy.wait_until(lambda: toy.statuses()["needs_attention"] == 1, END_SECONDS, toy.all_logs)
    [(reason, task)] = toy.rows("ORCHESTRATOR", "SELECT reason, task FROM saga_kept_message")
    assert "killed its worker" in reason
    assert task == "toy.work.response.success"


@pytest.mark.parametrize("participant", [PARTICIPANT, PARTICIPANT_IN_BATCHES], ids=["in threads", "in batches"])
def test_a_command_that_kills_its_participant_is_parked_and_the_others_are_done(toy: Toy, participant: str) -> None:
    """Design rule 11; the others are counted once at most, for from its third delivery a suspect runs alone."""
    toy.launch(*data_with_one_bad(kill_handler=True))
    toy.start(ORCHESTRATOR)
    toy.start(participant, wait=False)
    deaths = toy.restart_whenever_it_dies_until_something_is_kept(participant, "TOY")
    assert deaths <= 5
    toy.wait_until(lambda: toy.statuses()["succeeded"] == INNOCENT - 1, END_SECONDS, toy.all_logs)
    assert toy.is_alive(participant)
    assert toy.rows("TOY", "SELECT count(*) FROM saga_kept_message") == [(1,)]
    assert toy.rows("TOY", "SELECT count(*) FROM saga_participant_memory WHERE parked = 'action'") == [(1,)]
