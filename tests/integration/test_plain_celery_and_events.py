"""Every event is an ordinary Celery task, and so is its receipt: whoever speaks Celery can publish and subscribe."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_stack.plan import CHECKOUT
from tests.support.meters.messages import EVENTS, MeterRead
from tests.support.meters.system import HOUSES, METERS, Meters, meters_system

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # what hangs fails by the limits inside
PLAIN = "tests.support.meters.plain_celery"


@pytest.fixture(params=["embedded", pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql])])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Meters]:
    with meters_system(request.param, tmp_path) as system:
        (tmp_path / "notes").touch()
        system.environment["PLAIN_CELERY_NOTES"] = str(tmp_path / "notes")
        yield system


def notes(system: Meters) -> list[Any]:
    return [json.loads(line) for line in Path(system.environment["PLAIN_CELERY_NOTES"]).read_text().splitlines()]


def test_a_subscriber_that_knows_nothing_of_us_gets_each_event_until_it_says_so(system: Meters) -> None:
    system.publish(*[MeterRead("m", "a house", reading) for reading in (1, 2, 3)])
    system.start(METERS)
    system.start(PLAIN, extra={"PLAIN_CELERY_QUEUE": EVENTS})
    system.wait_until_quiet()
    assert {tuple(note) for note in notes(system)} == {("read", "m", reading) for reading in (1, 2, 3)}


def test_a_publisher_that_knows_nothing_of_us_is_heard_in_its_order_and_gets_receipts(system: Meters) -> None:
    system.start(HOUSES)
    system.start(PLAIN, extra={"PLAIN_CELERY_QUEUE": "plain.receipts"})
    command = [sys.executable, "-m", PLAIN, json.dumps([3, 1, 1, 2])]
    subprocess.run(command, cwd=CHECKOUT, env=system.environment, check=True)
    system.wait(lambda: sum(len(ids) for _, _, ids in notes(system)) == 4)
    assert system.readings() == {"plain": [1, 2, 3]}
    assert {(what, whose) for what, whose, _ in notes(system)} == {("received", EVENTS)}
    assert {one for _, _, ids in notes(system) for one in ids} == {f"plain reading {number}" for number in (1, 2, 3)}
    assert system.kept() == []
