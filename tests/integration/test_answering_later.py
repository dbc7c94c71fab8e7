"""A step that waits for a person, with real workers: the saga goes on when another process answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from sagas_framework import Refusal, create_participant
from tests.support.toy import answering_later, messages
from tests.support.toy.system import END_SECONDS, ORCHESTRATOR, Toy, toy_system

pytestmark = pytest.mark.slow
WORKER = "tests.support.toy.participant_answering_later"


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[Toy]:
    with toy_system("embedded", tmp_path) as toy:
        yield toy


def test_a_saga_waits_for_its_answer_and_goes_on_with_it(toy: Toy) -> None:
    toy.launch({"number": 1}, {"number": 2}, {"number": 3})
    office = create_participant(
        "toy",
        broker=toy.environment["CELERY_BROKER"],
        database_url=toy.environment["TOY_DATABASE_URL"],
        queue=messages.QUEUE,
        handlers=[answering_later],
    )
    assert office.engine is not None
    answering_later.toy_metadata.create_all(office.engine)
    for worker in (ORCHESTRATOR, WORKER):
        toy.start(worker)
    toy.wait_until(lambda: len(toy.rows("TOY", "SELECT * FROM toy_ticket")) == 3, END_SECONDS, toy.all_logs)
    with office.sessions.begin() as session:
        tokens = {row.number: row.token for row in session.execute(select(answering_later.tickets))}
        office.answer(tokens[1], messages.Done(1), session=session)
        office.refuse(tokens[2], Refusal("not today"), session=session)
    ended = {"succeeded": 1, "failed": 1, "running": 1}
    toy.wait_until(lambda: toy.statuses() == ended, END_SECONDS, toy.all_logs)
    assert toy.stop_all() == {ORCHESTRATOR: 0, WORKER: 0}
    office.engine.dispose()
