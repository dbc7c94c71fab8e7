"""Wiring of the hotel's worker."""

from examples.trip_package.hotel import handlers
from examples.trip_package.provider_messages import HOTEL_QUEUE
from sagas_framework import create_participant
from sagas_framework.environment import read_broker, read_database_url

participant = create_participant(
    "hotel",
    broker=read_broker(),
    database_url=read_database_url("HOTEL"),
    queue=HOTEL_QUEUE,
    handlers=[handlers],
)
app = participant.app
