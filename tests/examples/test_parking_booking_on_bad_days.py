"""What must not happen to a parking slot, its bill and its booking, whoever is away, dies or comes too late."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.parking_booking.health import health_app
from sagas_framework import create_orchestrator
from tests.support.parking import BILLING, BOOKING, PARKING, Parking, ending_of, parking_system

DONE = ("Booking request workflow done.\n", 0)

pytestmark = pytest.mark.slow


@pytest.fixture(
    params=[
        pytest.param("embedded", marks=pytest.mark.redis),
        pytest.param("servers", marks=[pytest.mark.long, pytest.mark.rabbitmq, pytest.mark.postgresql]),
    ]
)
def parking(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Parking]:
    with parking_system(request.param, tmp_path) as parking:
        yield parking


def test_a_slot_that_is_not_available_rejects_the_booking_and_stays_whose_it_is(parking: Parking) -> None:
    parking.work(PARKING, BOOKING)  # the first booking waits for its bill meanwhile
    slot = parking.new_slot()
    first = parking.book(slot)
    parking.wait_for_bookings("approved")
    blocked_for_the_first = [("blocked", parking.ref_no(0))]
    assert parking.slots() == blocked_for_the_first

    no = (f"Error: Booking request rejected: The slot {slot} is not available.\n", 1)
    assert ending_of(parking.book(slot)) == no
    assert parking.slots() == blocked_for_the_first
    assert parking.bookings() == ["approved", "rejected"]

    parking.work(BILLING)
    assert ending_of(first) == DONE
    assert ending_of(parking.book(slot)) == no
    assert parking.slots() == [("reserved", parking.ref_no(0))]
    assert parking.bookings() == ["paid", "rejected", "rejected"]
    assert parking.bills() == ["paid"]


def test_a_bill_that_is_refused_gives_the_slot_back_and_rejects_the_booking(parking: Parking) -> None:
    parking.work(PARKING, BOOKING, BILLING)
    printed, code = ending_of(parking.book(parking.new_slot(), "--hours=21"))
    why = "Error: Booking request rejected: The bill of 105 is above the card's limit of 100.\n"
    assert (printed, code) == (why, 1)
    assert (parking.slots(), parking.bookings(), parking.bills()) == ([("available", None)], ["rejected"], [])


def test_a_reservation_that_fails_refunds_and_leaves_the_slot_with_whoever_has_it_now(parking: Parking) -> None:
    parking.work(PARKING, BOOKING)
    slot = parking.new_slot()
    booking = parking.book(slot)
    parking.wait_for_bookings("approved")
    parking.write(PARKING, "UPDATE parking_slots SET ref_no = 'somebody else'")  # who must not be blocked from it

    parking.work(BILLING)
    printed, code = ending_of(booking)
    why = f"Error: Booking request rejected: The slot {slot} is not blocked for this booking any more.\n"
    assert (printed, code) == (why, 1)
    assert parking.slots() == [("blocked", "somebody else")]
    assert (parking.bookings(), parking.bills()) == (["rejected"], ["refunded"])


def test_done_is_not_said_before_it_is_done(parking: Parking) -> None:
    parking.work(PARKING, BOOKING)
    slot = parking.new_slot()
    printed, code = parking.says(BOOKING, "create_booking_request", slot, "--timeout-seconds=1")
    assert printed.startswith("Error: Booking request not done yet, it goes on: ")
    assert code == 1

    parking.work(BILLING)
    parking.wait_for_bookings("paid")
    assert parking.slots() == [("reserved", parking.ref_no(0))]


def test_a_booking_under_way_goes_on_after_the_booking_service_was_killed(parking: Parking) -> None:
    parking.work(PARKING, BOOKING)  # it comes as far as its bill, which nobody takes yet
    booking = parking.book(parking.new_slot())
    parking.wait_for_bookings("approved")
    parking.kill(BOOKING)

    parking.work(BILLING, BOOKING)
    assert ending_of(booking) == DONE
    assert parking.bookings() == parking.bills() == ["paid"]
    assert parking.slots() == [("reserved", parking.ref_no(0))]


@pytest.mark.redis
def test_a_database_that_is_not_ready_is_one_line(tmp_path: Path, redis_url: str) -> None:
    parking = Parking(
        {"CELERY_BROKER": redis_url, "PARKING_SERVICE_DATABASE_URL": f"sqlite:///{tmp_path / 'x'}"}, tmp_path, {}
    )
    printed, code = parking.says(PARKING, "parking_slot_list")
    assert printed == (
        "Error: the database cannot be used (no such table: parking_slots); was it prepared, and is its "
        "..._DATABASE_URL set here too?\n"
    )
    assert code == 1


@pytest.mark.redis
@pytest.mark.parametrize(("broker", "database", "status"), [(True, True, 200), (False, True, 503), (True, False, 503)])
def test_health_says_whether_broker_and_database_answer(
    tmp_path: Path, redis_url: str, broker: bool, database: bool, status: int
) -> None:
    from examples.parking_booking.booking_service.book_parking_saga import BookParking

    service = create_orchestrator(
        "booking_service",
        broker=redis_url if broker else f"redis+socket://{tmp_path / 'nobody'}",
        database_url=f"sqlite:///{tmp_path if not database else tmp_path / 'booking'}",
        sagas=[BookParking],
    )
    answer = health_app(service).test_client().get("/health")
    service.engine.dispose()
    assert answer.status_code == status
    assert {part: said == "answers" for part, said in answer.get_json().items()} == {
        "broker": broker,
        "database": database,
    }
