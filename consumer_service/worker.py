"""Wiring of the consumer service's worker: `celery --app consumer_service.worker worker`."""

from consumer_service import handlers
from consumer_service.settings import from_environment
from messaging.consumer_service_messaging import COMMANDS_QUEUE
from sagas_framework import create_participant

settings = from_environment()

participant = create_participant(
    "consumer_service",
    broker=settings.broker,
    database_url=settings.database_url,
    queue=COMMANDS_QUEUE,
    handlers=[handlers],
)
app = participant.app
