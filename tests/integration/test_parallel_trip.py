"""kill -9 amid steps that run side by side: every trip of the example ends with all three booked, or none in force."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.support.trips import AGENCY, PROVIDERS, SERVICES, Trips, assert_coherent, trips_system

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # what hangs fails by the limits inside
TRIPS = 60
ROOMS = 30
"""Fewer than trips: for some the hotel is full."""

DEATHS = {
    "airline": "airline.book_plane_ticket.response.success",
    "hotel": "hotel.book_hotel_room.response.failure",
    "museum": "museum.buy_tourist_tickets.response.success",
    AGENCY: "airline.cancel_plane_ticket_booking",
}


@pytest.fixture(
    params=[
        pytest.param("embedded", marks=pytest.mark.long),
        pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql]),
    ]
)
def trips(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Trips]:
    with trips_system(request.param, tmp_path) as trips:
        trips.prepare(ROOMS)
        yield trips


def test_trips_end_whole_or_not_at_all_although_every_worker_dies_between_commit_and_publish(trips: Trips) -> None:
    """Each dies once: a provider when half of a batch is answered, the agency when half of one is being undone."""
    trips.launch(TRIPS)
    for service in SERVICES:
        trips.start_doomed(service, "amid_publish", DEATHS[service])
    for service in (*PROVIDERS, AGENCY):
        trips.let_it_die_and_start_a_sound_one(service)
    trips.wait_for_the_end()
    assert_that_some_went_and_the_others_have_nothing(trips)


def test_trips_end_whole_or_not_at_all_although_workers_are_killed_at_any_time(trips: Trips) -> None:
    random = Random(1)
    trips.start_all(SERVICES)
    for dam in PROVIDERS:
        trips.kill(dam)
        trips.launch(TRIPS // len(PROVIDERS))
        for service in random.sample([service for service in SERVICES if service != dam], 2):
            assert trips.unfinished() >= TRIPS // len(PROVIDERS), "they were to wait before the dam"
            trips.kill_and_start_again(service)
        trips.start(dam)  # the dam is open: kill in the flood
        trips.kill_and_start_again(random.choice(SERVICES))
    trips.wait_for_the_end()
    assert_that_some_went_and_the_others_have_nothing(trips)


def assert_that_some_went_and_the_others_have_nothing(trips: Trips) -> None:
    statuses = trips.statuses()
    assert statuses["succeeded"] + statuses["failed"] == TRIPS, statuses
    assert statuses["succeeded"] > 0 and statuses["failed"] > 0, statuses
    assert_coherent(trips)
    assert trips.kept() == 0, "an innocent was kept"
