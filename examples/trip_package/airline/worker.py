"""Wiring of the airline's worker."""

from examples.trip_package.airline import handlers
from examples.trip_package.provider_messages import AIRLINE_QUEUE
from sagas_framework import create_participant
from sagas_framework.environment import read_broker, read_database_url

participant = create_participant(
    "airline",
    broker=read_broker(),
    database_url=read_database_url("AIRLINE"),
    queue=AIRLINE_QUEUE,
    handlers=[handlers],
)
app = participant.app
