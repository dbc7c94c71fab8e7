"""Events of many aggregates for one saga, in random order and again and again, while its workers are killed."""

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from sagas_framework.events.incoming import Incoming
from sagas_framework.events.intake import Intake
from sagas_framework.events.wiring import DEFAULT_RETRY
from sagas_framework.process_managers.compiler import process_manager_of
from sagas_framework.process_managers.consumer import ProcessManagerConsumer
from sagas_framework.storage.outbox import StreamKey
from sagas_framework.transport.wire import OutgoingMessage
from tests.support import databases
from tests.support.houses.managers import BILLED_EVERY, MANAGERS
from tests.support.meters import handlers
from tests.support.meters.messages import EVENTS, SOURCE, MeterRead, meter_billed
from tests.support.meters.system import HOUSES, METERS, meters_system, states_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # what hangs fails by the limits inside
HOUSE = "the only one"
METERS_OF_IT = [f"meter {number}" for number in range(20)]
EACH_SENT = 2
"""So often past the outbox, shuffled, besides what the publisher does."""
CONSUMERS = [ProcessManagerConsumer(process_manager_of(manager), "houses") for manager in MANAGERS]
WORKERS = [HOUSES, f"{HOUSES}#2"]
KINDS = ["embedded", pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql])]


def run_and_compare(kind: str, directory: Path, *, of_each: int, rounds: int, kills: int, seed: str) -> None:
    """`of_each`: so many readings of each meter a round. `kills`: a round."""
    random = Random(seed)
    killed_under_way = 0
    everything: list[OutgoingMessage] = []
    with meters_system(kind, directory) as system:
        for worker in (METERS, *WORKERS):
            system.start(worker, wait=False)
        for number in range(rounds):
            told = system.publish_by_relay(readings(number * of_each, of_each, random))
            everything += told
            shuffled = told * EACH_SENT + random.sample(everything, len(told) // 2)
            random.shuffle(shuffled)
            system.send(shuffled)
            for _ in range(kills):
                more = random.randint(1, 2 * len(told) // (kills + 1))
                goal = min(system.handled() + more, len(everything) - 1)
                system.wait(lambda goal=goal: system.handled() >= goal)  # type: ignore[misc]
                killed_under_way += not system.is_quiet()
                worker = random.choice([*WORKERS, METERS])
                system.kill(worker)
                system.start(worker, wait=False)
        system.wait_until_quiet()

        last = rounds * of_each
        assert system.readings() == {meter: list(range(1, last + 1)) for meter in METERS_OF_IT}, "not in order, or once"
        assert states_of(system.engines["houses"], MANAGERS) == serially(directory, everything)
        assert {name: len(states) for name, states in states_of(system.engines["houses"], MANAGERS).items()} == {
            manager.name: 1 for manager in MANAGERS
        }
        tens = range(BILLED_EVERY, last + 1, BILLED_EVERY)
        system.wait(lambda: system.bills("later").total() >= len(METERS_OF_IT))
        assert system.bills("now") == {(meter, ten): 1 for meter in METERS_OF_IT for ten in tens}
        assert system.bills("later") == {(meter, 1): 1 for meter in METERS_OF_IT}
        assert system.book("houses", "billed") == {f"{meter}-{ten}": [1] for meter in METERS_OF_IT for ten in tens}
        assert system.kept() == [], "an innocent was kept"
    assert killed_under_way >= rounds * kills // 2, "hardly anything was killed under way"


def readings(above: int, of_each: int, random: Random) -> list[MeterRead]:
    """Of all meters mixed; each meter's in order, for the publisher counts them."""
    meters = METERS_OF_IT * of_each
    random.shuffle(meters)
    read = dict.fromkeys(METERS_OF_IT, above)
    found = []
    for meter in meters:
        read[meter] += 1
        found.append(MeterRead(meter, HOUSE, read[meter]))
    return found


def serially(directory: Path, messages: Sequence[OutgoingMessage]) -> dict[str, list[Any]]:
    """What the same process managers make of the same events, one after the other, as they were published."""
    with databases.opened(f"sqlite:///{directory / 'serially.sqlite3'}") as engine:
        handlers.Base.metadata.create_all(engine)
        intake = Intake(EVENTS, engine, CONSUMERS, {meter_billed.name: meter_billed}, DEFAULT_RETRY)
        for message in messages:
            intake.take_in([incoming(message)], now=0.0)
        return states_of(engine, MANAGERS)


def incoming(message: OutgoingMessage) -> Incoming:
    header = message.correlation
    assert header is not None
    stream = StreamKey(EVENTS, SOURCE, header["aggregate"])
    return Incoming(stream, header["number"], message.task, message.id, json.loads(message.body)[0][1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_events_make_what_they_make_one_after_the_other_whoever_is_killed(kind: str, tmp_path: Path) -> None:
    run_and_compare(kind, tmp_path, of_each=10, rounds=5, kills=2, seed=f"{kind} 1")


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_many_thousands_do_so_too(kind: str, tmp_path: Path) -> None:
    run_and_compare(kind, tmp_path, of_each=30, rounds=10, kills=4, seed=f"{kind} 2")
