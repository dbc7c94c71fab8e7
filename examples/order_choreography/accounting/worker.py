"""Wiring of accounting's worker."""

from examples.order_choreography.accounting import handlers
from examples.order_choreography.events import ACCOUNTING, ACCOUNTING_EVENTS, CardAuthorized, CardRefused
from sagas_framework import create_subscriber
from sagas_framework.environment import read_broker, read_database_url

subscriber = create_subscriber(
    ACCOUNTING,
    broker=read_broker(),
    database_url=read_database_url("ACCOUNTING"),
    queue=ACCOUNTING_EVENTS,
    handlers=[handlers],
    publishes=[CardAuthorized, CardRefused],
)
app = subscriber.app
