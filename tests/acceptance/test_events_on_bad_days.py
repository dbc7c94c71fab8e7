"""Broker and databases go away and come back while events flow: none is lost, none is handled twice."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import text

from tests.support.houses.managers import BILLED_EVERY
from tests.support.meters.messages import MeterRead
from tests.support.meters.system import HOUSES, METERS, Meters, meters_system

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # what hangs fails by the limits inside
KINDS = [
    pytest.param("embedded", marks=pytest.mark.long),
    pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql]),
]
MANY_METERS = [f"meter {number}" for number in range(10)]
WORKERS = [METERS, HOUSES, f"{HOUSES}#2"]
BLOWS = 3


@pytest.fixture(params=KINDS)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Meters]:
    with meters_system(request.param, tmp_path) as system:
        system.start_all(WORKERS)
        yield system


class Readings:
    """Of all meters, each of a house of its own; `published` is the last of each."""

    def __init__(self, system: Meters) -> None:
        self._system = system
        self.published = dict.fromkeys(MANY_METERS, 0)

    def publish(self, times: int) -> None:
        for _ in range(times):
            for meter in self.published:
                self.published[meter] += 1
            self._system.publish(
                *[MeterRead(meter, f"house of {meter}", last) for meter, last in self.published.items()]
            )


def assert_each_was_handled_once(system: Meters, published: dict[str, int]) -> None:
    system.wait_until_quiet()
    assert system.readings() == {meter: list(range(1, last + 1)) for meter, last in published.items()}
    bills = [(meter, ten) for meter, last in published.items() for ten in range(BILLED_EVERY, last + 1, BILLED_EVERY)]
    assert system.bills("now") == dict.fromkeys(bills, 1)
    system.wait(lambda: system.bills("later") == dict.fromkeys([(meter, 1) for meter in published], 1))
    assert system.kept() == []
    for worker in WORKERS:
        assert system.is_alive(worker), system.log(worker)


def test_a_broker_that_is_away_again_and_again_loses_no_event(system: Meters) -> None:
    readings = Readings(system)
    for _ in range(BLOWS):
        before = system.handled()
        readings.publish(30)
        system.wait(lambda before=before: system.handled() > before)  # type: ignore[misc]
        system.broker.kill()
        readings.publish(5)
        system.broker.start()
        readings.publish(5)
    assert_each_was_handled_once(system, readings.published)


@pytest.mark.postgresql
def test_connections_that_are_cut_lose_no_event(tmp_path: Path) -> None:
    random = Random(1)
    with meters_system("servers", tmp_path) as system:
        system.start_all(WORKERS)
        readings = Readings(system)
        for _ in range(5 * BLOWS):
            readings.publish(random.randint(1, 3))
            if random.random() < 0.5:
                system.disconnect_everybody()
        assert_each_was_handled_once(system, readings.published)


@pytest.mark.parametrize("locked", ["meters", "houses"])
def test_a_database_that_is_locked_longer_than_anybody_waits_loses_no_event(tmp_path: Path, locked: str) -> None:
    weather = "wait for better weather" if locked == "houses" else "delivery waits"
    worker = HOUSES if locked == "houses" else METERS
    with meters_system("embedded", tmp_path) as system:
        system.start_all(WORKERS)
        told = system.publish_by_relay(MeterRead(meter, f"house of {meter}", 1) for meter in MANY_METERS)
        with system.engines[locked].begin() as connection:
            connection.execute(text("UPDATE written SET reading = reading"))
            system.send(told)
            system.wait(lambda: weather in system.log(worker))
        system.publish(*[MeterRead(meter, f"house of {meter}", 2) for meter in MANY_METERS])
        assert_each_was_handled_once(system, dict.fromkeys(MANY_METERS, 2))
