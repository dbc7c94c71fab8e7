"""Whoever has to do with events dies at one exact line: all of them are handled, once and in order, all the same."""

import subprocess
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from sagas_framework.storage import schema
from sagas_framework.storage.database import reading
from sagas_framework.vocabulary.names import RECEIPTS_TASK
from tests.support.dying import start_dying
from tests.support.houses.managers import BILLED_EVERY
from tests.support.meters.messages import MeterRead, bill, meter_read
from tests.support.meters.system import HOUSES, METERS, Meters, meters_system

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # what hangs fails by the limits inside
READINGS = 30
DEATH_SECONDS = 120.0
WRITTEN = "sagas_framework.storage.event_inbox:write_streams"
"""The last that a subscriber does before it commits."""
TAKING_OUT = "sagas_framework.storage.outbox:arrived"
TAKEN_OUT = "sagas_framework.events.receipts:ReceiptBatches.apply"


@pytest.fixture(
    params=[
        pytest.param("embedded", marks=pytest.mark.long),
        pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql]),
    ],
    scope="module",
)
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meters]:
    with meters_system(request.param, tmp_path_factory.mktemp("meters")) as system:
        system.start_all([METERS, HOUSES])
        yield system


@pytest.fixture
def meter(request: pytest.FixtureRequest) -> str:
    """One of this test's own."""
    return str(request.node.name)[:60]


def of(meter: str) -> list[MeterRead]:
    return [MeterRead(meter, f"house of {meter}", reading) for reading in range(1, READINGS + 1)]


def let_it_die(system: Meters, moment: str, what: str, service: str) -> subprocess.Popen[bytes]:
    doomed = start_dying(system.environment, moment, what, service.rpartition(".worker")[0] or service)
    try:
        assert doomed.wait(DEATH_SECONDS) == -9
    finally:
        doomed.kill()
        doomed.wait()
    return doomed


def assert_all_was_done_once(system: Meters, meter: str) -> None:
    system.wait_until_quiet()
    tens = range(BILLED_EVERY, READINGS + 1, BILLED_EVERY)
    assert system.readings()[meter] == list(range(1, READINGS + 1))
    assert {key: times for key, times in system.bills("now").items() if key[0] == meter} == {
        (meter, ten): 1 for ten in tens
    }
    assert system.bills("later")[meter, 1] == 1
    billed = system.book("houses", "billed")
    assert [billed[f"{meter}-{ten}"] for ten in tens] == [[1]] * len(tens)
    assert system.kept() == []


@pytest.mark.parametrize("moment", ["before_publish", "amid_publish", "after_publish"])
def test_what_a_publisher_has_committed_arrives_although_it_died(system: Meters, moment: str) -> None:
    publisher = let_it_die(system, moment, meter_read.name, "publish")
    assert_all_was_done_once(system, str(publisher.pid))


@pytest.mark.parametrize("moment", ["before_publish", "amid_publish", "after_publish"])
def test_a_relay_dies_between_publish_and_commit(system: Meters, meter: str, moment: str) -> None:
    system.stop(METERS)
    system.publish_by_relay(of(meter))
    let_it_die(system, moment, meter_read.name, METERS)
    system.start(METERS)
    assert_all_was_done_once(system, meter)


@pytest.mark.parametrize(
    ("moment", "what"),
    [
        pytest.param("after_call", WRITTEN, id="before the commit"),
        pytest.param("before_publish", RECEIPTS_TASK, id="between commit and receipt"),
        pytest.param("amid_publish", RECEIPTS_TASK, id="with half of it sent"),
        pytest.param("after_publish", RECEIPTS_TASK, id="between receipt and acknowledgement"),
        pytest.param("before_publish", bill.name, id="before it sends a command"),
    ],
)
def test_a_subscriber_dies(system: Meters, meter: str, moment: str, what: str) -> None:
    system.stop(HOUSES)
    system.publish(*of(meter))
    let_it_die(system, moment, what, HOUSES)
    system.start(HOUSES)
    assert_all_was_done_once(system, meter)


@pytest.mark.parametrize(
    ("moment", "what"),
    [
        pytest.param("after_call", TAKING_OUT, id="before the commit"),
        pytest.param("after_call", TAKEN_OUT, id="between commit and acknowledgement"),
        pytest.param("before_publish", f"{bill.name}.response.success", id="answering a command"),
    ],
)
def test_whoever_takes_receipts_and_commands_dies(system: Meters, meter: str, moment: str, what: str) -> None:
    system.stop(METERS)
    system.publish(*of(meter))
    let_it_die(system, moment, what, METERS)
    system.start(METERS)
    assert_all_was_done_once(system, meter)


def test_a_command_for_later_that_came_due_while_everybody_was_down_is_done(system: Meters, meter: str) -> None:
    system.stop(HOUSES)
    system.publish(*of(meter))
    let_it_die(system, "before_publish", RECEIPTS_TASK, HOUSES)
    system.kill(METERS)
    assert system.bills("later")[meter, 1] == 0, "it was to come later"
    [due_at] = commands_for_later(system)
    system.broker.kill()
    system.wait(lambda: time.time() > due_at)
    system.broker.start()
    system.start_all([METERS, HOUSES])
    assert_all_was_done_once(system, meter)


def commands_for_later(system: Meters) -> list[float]:
    row = schema.outbox.c
    with reading(system.engines["houses"]) as connection:
        return list(connection.scalars(select(row.due_at).where(row.queue == bill.queue, row.times == 0)))
