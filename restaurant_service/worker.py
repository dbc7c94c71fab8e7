"""Wiring of the restaurant service's worker: `celery --app restaurant_service.worker worker`."""

from messaging.restaurant_service_messaging import COMMANDS_QUEUE
from restaurant_service import handlers
from restaurant_service.settings import from_environment
from sagas_framework import create_participant

settings = from_environment()

participant = create_participant(
    "restaurant_service",
    broker=settings.broker,
    database_url=settings.database_url,
    queue=COMMANDS_QUEUE,
    handlers=[handlers],
)
app = participant.app
