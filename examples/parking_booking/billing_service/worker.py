"""Wiring of the billing service."""

from examples.parking_booking.billing_service import handlers
from examples.parking_booking.messages import BILLING_QUEUE
from sagas_framework import create_participant
from sagas_framework.environment import read_broker, read_database_url

participant = create_participant(
    "billing_service",
    broker=read_broker(),
    database_url=read_database_url("BILLING_SERVICE"),
    queue=BILLING_QUEUE,
    handlers=[handlers],
)
app = participant.app
