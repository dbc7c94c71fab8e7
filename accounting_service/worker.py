"""Wiring of the accounting service's worker: `celery --app accounting_service.worker worker`."""

from accounting_service import handlers
from accounting_service.settings import from_environment
from messaging.accounting_service_messaging import COMMANDS_QUEUE
from sagas_framework import create_participant

settings = from_environment()

participant = create_participant(
    "accounting_service",
    broker=settings.broker,
    database_url=settings.database_url,
    queue=COMMANDS_QUEUE,
    handlers=[handlers],
)
app = participant.app
