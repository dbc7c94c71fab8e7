"""Every message is an ordinary Celery task: whoever speaks Celery can take part (design rules 1 and 2)."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_stack.plan import CHECKOUT
from tests.support.toy.system import END_SECONDS, ORCHESTRATOR, PARTICIPANT, Toy, toy_system

pytestmark = pytest.mark.slow
SEED_FORM = "tests.support.toy.seed_form"
PLAIN = "tests.support.toy.plain_celery"


@pytest.fixture(params=["embedded", pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql])])
def toy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Toy]:
    with toy_system(request.param, tmp_path) as toy:
        (tmp_path / "notes").touch()
        toy.environment["PLAIN_CELERY_NOTES"] = str(tmp_path / "notes")
        yield toy


def notes(toy: Toy) -> list[Any]:
    return [json.loads(line) for line in Path(toy.environment["PLAIN_CELERY_NOTES"]).read_text().splitlines()]


def test_a_participant_that_knows_nothing_of_us_takes_part_in_our_sagas(toy: Toy) -> None:
    """Its replies carry no header of ours; Celery's own parent_id says what they answer."""
    toy.launch({"number": 1}, {"number": -1})
    toy.start(ORCHESTRATOR)
    toy.start(PLAIN, extra={"PLAIN_CELERY_QUEUE": "toy.commands"})
    toy.wait_until(lambda: toy.statuses().total() - toy.statuses()["running"] == 2, END_SECONDS, toy.all_logs)
    assert toy.statuses() == {"succeeded": 1, "failed": 1}
    [(details,)] = toy.rows("ORCHESTRATOR", "SELECT failure_details FROM saga_instance WHERE status = 'failed'")
    details = json.loads(details) if isinstance(details, str) else details
    assert (details["type"], details["traceback"]) == ("ValueError", "line one\ntwo")
    assert toy.rows("ORCHESTRATOR", "SELECT count(*) FROM saga_kept_message") == [(0,)]


def test_our_handlers_answer_an_orchestrator_that_knows_nothing_of_us(toy: Toy) -> None:
    toy.launch()
    toy.start(SEED_FORM)
    toy.start(PLAIN, extra={"PLAIN_CELERY_QUEUE": "toy.responses"})
    command = [sys.executable, "-m", PLAIN, json.dumps([1, -1])]
    subprocess.run(command, cwd=CHECKOUT, env=toy.environment, check=True)
    toy.wait_until(lambda: len(notes(toy)) == 2, END_SECONDS, toy.all_logs)
    answers = {kind: (saga_id, what, parent) for kind, saga_id, what, parent in notes(toy)}
    assert answers["success"][:2] == (7, {"number": 1})
    assert answers["failure"][:2] == (7, "negative")
    assert all(parent is not None for _, _, parent in answers.values())


def test_the_long_form_of_a_handler_does_what_the_short_one_does(toy: Toy) -> None:
    toy.launch({"number": 1}, {"number": -1})
    toy.start(ORCHESTRATOR)
    toy.start(SEED_FORM)
    toy.wait_until(lambda: toy.statuses()["running"] == 0, END_SECONDS, toy.all_logs)
    assert toy.statuses() == {"succeeded": 1, "failed": 1}


def test_a_compensation_that_nobody_awaits_goes_through_the_outbox_and_is_done(toy: Toy) -> None:
    """Design rules 7 and 16."""
    toy.launch({"number": 1}, saga="UnawaitedSaga")
    toy.start(ORCHESTRATOR)
    toy.start(PARTICIPANT)
    done = "SELECT undo_outcome FROM saga_participant_memory WHERE undo_outcome IS NOT NULL"
    toy.wait_until(lambda: toy.rows("TOY", done) == [("succeeded",)], END_SECONDS, toy.all_logs)
    toy.wait_until(
        lambda: toy.rows("ORCHESTRATOR", "SELECT count(*) FROM saga_outbox") == [(0,)], END_SECONDS, toy.all_logs
    )
    assert toy.statuses() == {"failed": 1}
    assert toy.rows("ORCHESTRATOR", "SELECT count(*) FROM saga_kept_message") == [(0,)]
