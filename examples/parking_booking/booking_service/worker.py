"""Wiring of the booking service, which orchestrates."""

from examples.parking_booking.booking_service.book_parking_saga import BookParking
from sagas_framework import create_orchestrator
from sagas_framework.environment import read_broker, read_database_url

orchestrator = create_orchestrator(
    "booking_service",
    broker=read_broker(),
    database_url=read_database_url("BOOKING_SERVICE"),
    sagas=[BookParking],
)
app = orchestrator.app
