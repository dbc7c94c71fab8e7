"""Wiring of the museum's worker."""

from examples.trip_package.museum import handlers
from examples.trip_package.provider_messages import MUSEUM_QUEUE
from sagas_framework import create_participant
from sagas_framework.environment import read_broker, read_database_url

participant = create_participant(
    "museum",
    broker=read_broker(),
    database_url=read_database_url("MUSEUM"),
    queue=MUSEUM_QUEUE,
    handlers=[handlers],
)
app = participant.app
