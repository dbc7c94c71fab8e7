"""Parallels, choices, sagas in sagas, signals, sleep, fire and forget: all of it survives whoever is killed when."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from sagas_framework import Operations
from tests.support.dying import start_dying
from tests.support.journeys.sagas import Trip
from tests.support.journeys.system import (
    AGENCY,
    ORCHESTRATOR,
    Journeys,
    Word,
    car_of,
    journeys,
    pick_up_of,
)

pytestmark = pytest.mark.slow
KINDS = [
    pytest.param("embedded", marks=[pytest.mark.redis, pytest.mark.long]),
    pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql]),
]
END_SECONDS = 120.0

# ---- killed at random ------------------------------------------------------------------------------------------------

JOURNEYS = 24
KILLS = 5
EVENTS_BETWEEN_KILLS = (20, 100)
WORKERS = [ORCHESTRATOR, f"{ORCHESTRATOR}#2", AGENCY]

WHERE_IT_ENDS = ["", "", "hotel", "insurance", "approval", "payment", "cancelled", "cancelled early"]
BESIDE = {"plane", "hotel", "dinner", "garage", "keys", "insurance"}
DONE_AND_UNDONE = {
    "hotel": {"offer", *BESIDE} - {"hotel", "dinner"},
    "insurance": {"offer", *BESIDE} - {"insurance"},
    "approval": {"offer", *BESIDE, "room"},
    "payment": {"offer", *BESIDE, "room"},
    "cancelled": {"offer", *BESIDE, "room"},
}
"""What was done before a journey failed; where a branch beside the failed one could still go on, it did."""


@dataclass(frozen=True)
class Planned:
    saga_id: str
    ends_at: str
    grand: bool

    def expected(self) -> Counter[tuple[str, str]]:
        """What the agency must have done and undone, each once."""
        forever = {"announcement"} | ({"postcard"} if self.ends_at in ("", "payment") else set())
        undone = DONE_AND_UNDONE.get(self.ends_at, set())
        if not self.ends_at:
            forever |= {"offer", *BESIDE, "room", "payment", "ticket", "taxi"}
        comfort = {"room": "suite"} if self.grand else {}
        done = {comfort.get(thing, thing) for thing in forever | undone}
        return Counter({(thing, "done"): 1 for thing in done}) + Counter(
            {(comfort.get(thing, thing), "undone"): 1 for thing in undone}
        )


def plan(system: Journeys, random: Random, ends_at: str) -> tuple[Planned, list[Word]]:
    grand = random.random() < 0.5
    saga_id = system.start(Trip(grand, refused=ends_at))
    car = car_of(saga_id)
    words = []
    if ends_at != "cancelled early":
        early = random.random() < 0.5
        after = (car, "started", None) if early else (car, "waiting_for_signal", "deposit")
        words.append(system.signal(car, "deposit", after))
    if ends_at in ("", "approval", "payment"):
        early = random.random() < 0.5
        after = (saga_id, "started", None) if early else (saga_id, "waiting_for_signal", "approval")
        words.append(system.signal(saga_id, "approval", after, granted=ends_at != "approval"))
    if ends_at.startswith("cancelled"):
        after = (car, "started", None) if "early" in ends_at else (saga_id, "waiting_for_signal", "approval")
        words.append(Word(lambda: Operations(system.orchestrator).cancel(saga_id, "no trip"), after))
    return Planned(saga_id, ends_at, grand), words


@pytest.mark.parametrize("kind", KINDS)
def test_every_journey_ends_as_it_must_although_its_workers_are_killed_again_and_again(
    kind: str, tmp_path: Path
) -> None:
    random = Random(f"{kind} 1")
    killed_under_way = 0
    with journeys(kind, tmp_path, ask_again_after_seconds=1.0) as system:
        for worker in WORKERS:
            system.toy.start(worker, wait=False)
        planned, words = [], list[Word]()
        for number in range(JOURNEYS):
            journey, its_words = plan(system, random, WHERE_IT_ENDS[number % len(WHERE_IT_ENDS)])
            planned.append(journey)
            words += its_words
        for _ in range(KILLS):
            live_until(system, words, events=random.randint(*EVENTS_BETWEEN_KILLS))
            killed_under_way += not system.all_ended()
            worker = random.choice(WORKERS)
            system.toy.kill(worker)
            system.toy.start(worker, wait=False)
        live_until(system, words)
        assert words == []
        assert_all_ended_as_planned(system, planned)
        assert system.kept() == [], "an innocent was kept"
    assert killed_under_way >= KILLS - 2, "nothing was killed under way"


def live_until(system: Journeys, words: list[Word], events: int | None = None) -> None:
    """Until so many more things have happened, or all is over; says meanwhile what is to be said."""
    goal = None if events is None else system.progress() + events

    def come_so_far() -> bool:
        system.tell(words)
        return (goal is not None and system.progress() >= goal) or (not words and system.all_ended())

    system.toy.wait_until(come_so_far, END_SECONDS, system.describe)


def assert_all_ended_as_planned(system: Journeys, planned: list[Planned]) -> None:
    deeds, statuses = system.deeds(), system.statuses()
    for journey in planned:
        saga_id, car, pick_up = journey.saga_id, car_of(journey.saga_id), pick_up_of(journey.saga_id)
        status = "failed" if journey.ends_at else "succeeded"
        assert (statuses.pop(saga_id), statuses.pop(car)) == (status, status), journey
        assert statuses.pop(pick_up, None) == (None if journey.ends_at else status), journey
        done = sum((deeds.pop(owner, Counter()) for owner in (saga_id, car, pick_up)), Counter())
        if journey.ends_at == "cancelled early":
            assert done.pop(("announcement", "done")) == 1
            assert set(done.values()) <= {1}, journey
            assert {thing for thing, deed in done if deed == "done"} == {
                thing for thing, deed in done if deed == "undone"
            }, journey
        else:
            assert done == journey.expected(), journey
    assert (statuses, deeds) == ({}, {}), "sagas that nobody asked for"


# ---- killed at one exact line ----------------------------------------------------------------------------------------

RUN_CAR, UNDO_CAR, RUN_PICK_UP = "sagas.run_child.RentCar", "sagas.undo_child.RentCar", "sagas.run_child.PickUp"
FORWARD = [
    ("before_publish", "agency.book_announcement"),  # a command that nobody awaits stands in the outbox
    ("after_publish", "agency.book_announcement"),  # and is sent, but stands there still
    ("before_publish", RUN_CAR),
    ("before_publish", "agency.book_keys"),  # the child is there, its first command is not sent
    ("before_publish", "agency.book_insurance"),  # the due loop has taken up what a signal led to
    ("before_publish", f"{RUN_CAR}.response.success"),  # the child has ended
    ("before_publish", "agency.book_payment"),  # a sleep has ended
    ("before_publish", RUN_PICK_UP),
    ("before_publish", f"{RUN_PICK_UP}.response.success"),  # a child has ended by time
]
BACKWARD = [
    ("before_publish", UNDO_CAR),
    ("before_publish", "agency.cancel_insurance"),  # undoing the child has begun
    ("before_publish", f"{UNDO_CAR}.response.success"),  # and has ended
]
CHILD_FAILS = [("before_publish", f"{RUN_CAR}.response.failure")]
ASKED_BEFORE_ITS_ANSWER = {"offer"}
"""The due loop sends a first command once more after two seconds."""
AFTER_TIME_OR_A_SIGNAL = {"insurance", "payment"}
ASK_AGAIN_AFTER_SECONDS = {"embedded": 20.0, "servers": 600.0}
"""On Redis a message may be lost whose worker dies, by another thread's hand, just after popping it (design rule 6)."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_journey_goes_on_after_a_death_at_every_line(kind: str, tmp_path: Path) -> None:
    """Design rules 5 to 7. On RabbitMQ only what no message is left for is asked again: the rest the broker brings."""
    random = Random(1)
    planned, words = [], list[Word]()
    with journeys(kind, tmp_path, ASK_AGAIN_AFTER_SECONDS[kind]) as system:
        system.toy.start(AGENCY, wait=False)
        for ends_at, deaths in (("", FORWARD), ("payment", BACKWARD), ("insurance", CHILD_FAILS)):
            journey, its_words = plan(system, random, ends_at)
            planned.append(journey)
            words += its_words
            for moment, task in deaths:
                die_at(system, words, moment, task)
        system.toy.start(ORCHESTRATOR, wait=False)
        live_until(system, words)
        assert_all_ended_as_planned(system, planned)
        asked_again = {step for _, _, step in system.events("asked_again")}
        assert asked_again >= AFTER_TIME_OR_A_SIGNAL
        assert kind == "embedded" or asked_again <= AFTER_TIME_OR_A_SIGNAL | ASKED_BEFORE_ITS_ANSWER
        assert system.kept() == []


def die_at(system: Journeys, words: list[Word], moment: str, task: str) -> None:
    doomed = start_dying(system.toy.environment, moment, task, ORCHESTRATOR.rpartition(".")[0])

    def dead() -> bool:
        system.tell(words)
        return doomed.poll() is not None

    try:
        system.toy.wait_until(dead, END_SECONDS, lambda: f"{moment} {task} never came: {system.describe()}")
        assert doomed.returncode == -9
    finally:
        doomed.kill()
        doomed.wait()
