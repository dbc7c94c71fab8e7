"""Wiring of the attempt service's worker."""

from examples.exam_attempts.attempt_messages import COMMANDS_QUEUE
from examples.exam_attempts.attempt_service import handlers
from sagas_framework import create_participant
from sagas_framework.environment import read_broker, read_database_url

participant = create_participant(
    "attempt_service",
    broker=read_broker(),
    database_url=read_database_url("ATTEMPT_SERVICE"),
    queue=COMMANDS_QUEUE,
    handlers=[handlers],
)
app = participant.app
