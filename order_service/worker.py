"""Wiring of the orchestrator: `celery --app order_service.worker worker`. The web page uses it too."""

from order_service.create_order_saga import CreateOrderSaga
from order_service.settings import from_environment
from sagas_framework import create_orchestrator

settings = from_environment()

orchestrator = create_orchestrator(
    "order_service",
    broker=settings.broker,
    database_url=settings.database_url,
    sagas=[CreateOrderSaga],
    ask_again_after_seconds=settings.ask_again_after_seconds,
    give_up_after_seconds=settings.give_up_after_seconds,
)
app = orchestrator.app
