"""Publishes, takes receipts, and does what the houses ask for."""

from sagas_framework import create_participant
from sagas_framework.environment import read_broker, read_database_url
from tests.support.meters import handlers, messages

participant = create_participant(
    messages.SOURCE,
    broker=read_broker(),
    database_url=read_database_url("METERS"),
    queue=messages.COMMANDS,
    handlers=[handlers],
    publishes=[messages.MeterRead, messages.MeterMoved, messages.MeterPainted],
)
app = participant.app
