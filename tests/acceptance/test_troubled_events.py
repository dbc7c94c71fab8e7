"""Events that cannot be handled, with real workers: seen by the operator, and in nobody else's way."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from local_stack.plan import CHECKOUT
from tests.support.houses.managers import MANAGERS
from tests.support.meters.messages import MeterMoved, MeterPainted, MeterRead
from tests.support.meters.system import HOUSES, METERS, Meters, meters_system, states_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # what hangs fails by the limits inside
KINDS = [
    pytest.param("embedded", marks=pytest.mark.long),
    pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql]),
]
GOOD, BAD = "a good meter", "a bad meter"
HOUSE, OTHER_HOUSE = "a house", "another house"
BEFORE, BEHIND = 3, 4
"""Readings of the bad meter before the bad one, and behind it."""
DEATHS_AT_MOST = 8
"""Four when it is delivered; if it came before its turn one more, beside what it waited for; three out of the inbox."""


@pytest.fixture(params=KINDS)
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meters]:
    with meters_system(request.param, tmp_path_factory.mktemp("meters")) as system:
        yield system


def around(bad: object) -> list[object]:
    """Between events of the same meter and of others."""
    number = BEFORE + BEHIND + 1
    good = [MeterRead(GOOD, OTHER_HOUSE if one % 2 else HOUSE, one) for one in range(1, number + 1)]
    same: list[object] = [MeterRead(BAD, HOUSE, reading) for reading in range(1, number + 1)]
    same[BEFORE] = bad
    return [event for pair in zip(good, same, strict=True) for event in pair]


def assert_only_what_is_behind_it_waits(system: Meters, failure: str) -> None:
    number = BEFORE + 1
    assert system.readings() == {GOOD: list(range(1, number + BEHIND + 1)), BAD: list(range(1, number))}
    waiting = system.rows("houses", "SELECT aggregate, number, parked FROM saga_event_inbox ORDER BY number")
    assert [(aggregate, number, bool(parked)) for aggregate, number, parked in waiting] == [
        (f"meter={BAD}", number + later, not later) for later in range(BEHIND + 1)
    ]
    [(told,)] = system.rows("houses", f"SELECT failure FROM saga_event_inbox WHERE number = {number}")
    assert failure in str(told)
    for states in states_of(system.engines["houses"], MANAGERS).values():
        assert sum(len(state.by_meter.get(BAD, ())) for state in states) == BEFORE, "half of an event was done"
        assert sum(len(state.by_meter.get(GOOD, ())) for state in states) == number + BEHIND
    assert system.kept() == []


def let_the_operator(system: Meters, command: str, *options: str) -> None:
    """`sagas events COMMAND` for what is parked."""
    [(number,)] = system.rows("houses", "SELECT id FROM saga_event_inbox WHERE parked")
    line = [sys.executable, "-m", "sagas_framework.cli", "events", command, str(number), "--app", HOUSES, *options]
    subprocess.run(line, cwd=CHECKOUT, env=system.environment, check=True)


def restart_mended(system: Meters) -> None:
    system.stop(HOUSES)
    system.start(HOUSES, extra={"METERS_MENDED": "1"})


def assert_all_were_handled(system: Meters, bad: dict[str, list[int]], given_up: int = 0) -> None:
    system.wait_until_quiet()
    assert system.readings() == {GOOD: list(range(1, BEFORE + BEHIND + 2)), **bad}
    for states in states_of(system.engines["houses"], MANAGERS).values():
        assert sum(len(state.by_meter.get(BAD, ())) for state in states) == len(bad[BAD])
    assert len(system.kept()) == given_up


def is_parked(system: Meters) -> bool:
    return system.count("houses", "saga_event_inbox WHERE parked") > 0


def all_have_their_receipts(system: Meters) -> bool:
    return system.count("meters", "saga_outbox") == 0


@pytest.mark.parametrize(
    ("bad", "failure"),
    [
        pytest.param(MeterRead(BAD, HOUSE, 0, trouble="raise"), "cannot be read", id="its handler always raises"),
        pytest.param(MeterMoved(BAD), "UnknownEvent", id="of an unknown type"),
    ],
)
def test_what_cannot_be_handled_is_parked_and_holds_back_its_own_alone(
    system: Meters, bad: object, failure: str
) -> None:
    system.start_all([METERS, HOUSES])
    system.publish(*around(bad))
    system.wait(lambda: is_parked(system) and all_have_their_receipts(system))
    assert_only_what_is_behind_it_waits(system, failure)
    assert f"meter={BAD}) waits for the operator" in system.log(HOUSES)
    assert "will be tried again" in system.log(HOUSES)
    if failure == "UnknownEvent":
        let_the_operator(system, "skip", "--reason", "nobody needs it")
        handled_of_bad = [number for number in range(1, BEFORE + BEHIND + 2) if number != BEFORE + 1]
        assert_all_were_handled(system, {BAD: handled_of_bad}, given_up=1)
    else:
        restart_mended(system)
        let_the_operator(system, "replay")
        assert_all_were_handled(system, {BAD: list(range(1, BEFORE + BEHIND + 2))})


def test_an_event_that_kills_its_worker_is_parked_and_holds_back_its_own_alone(system: Meters) -> None:
    """Design rule 11."""
    system.publish(*around(MeterRead(BAD, HOUSE, 0, trouble="kill")))
    system.start(METERS)
    system.start(HOUSES, wait=False)
    deaths = 0

    def done() -> bool:
        nonlocal deaths
        if not system.is_alive(HOUSES):
            system.wait_for_death(HOUSES)
            deaths += 1
            system.start(HOUSES, wait=False)
        return is_parked(system) and all_have_their_receipts(system)

    system.wait(done)
    assert 1 <= deaths <= DEATHS_AT_MOST
    system.wait(lambda: len(system.readings()[GOOD]) == BEFORE + 1 + BEHIND)  # what a dead worker had claimed goes on
    assert_only_what_is_behind_it_waits(system, "EventKillsItsWorker")
    restart_mended(system)
    let_the_operator(system, "replay")
    assert_all_were_handled(system, {BAD: list(range(1, BEFORE + BEHIND + 2))})


def test_an_event_that_nobody_subscribes_to_stays_where_the_operator_sees_it(system: Meters) -> None:
    system.publish(MeterRead(GOOD, HOUSE, 1), MeterPainted(GOOD), MeterRead(GOOD, HOUSE, 2))
    system.start_all([METERS, HOUSES])
    system.wait(lambda: system.readings() == {GOOD: [1, 2]} and system.count("meters", "saga_outbox") == 1)
    assert system.rows("meters", "SELECT queue, due_at, problem FROM saga_outbox") == [
        ("", None, "nobody subscribes to it")
    ]
