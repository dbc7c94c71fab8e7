"""Wiring of the parking service."""

from examples.parking_booking.messages import PARKING_QUEUE
from examples.parking_booking.parking_service import handlers
from sagas_framework import create_participant
from sagas_framework.environment import read_broker, read_database_url

participant = create_participant(
    "parking_service",
    broker=read_broker(),
    database_url=read_database_url("PARKING_SERVICE"),
    queue=PARKING_QUEUE,
    handlers=[handlers],
)
app = participant.app
