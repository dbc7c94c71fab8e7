"""Wiring of the order service's worker."""

from examples.order_choreography.events import ORDERS, ORDERS_EVENTS, OrderPlaced
from examples.order_choreography.orders import handlers
from sagas_framework import create_subscriber
from sagas_framework.environment import read_broker, read_database_url

subscriber = create_subscriber(
    ORDERS,
    broker=read_broker(),
    database_url=read_database_url("ORDERS"),
    queue=ORDERS_EVENTS,
    handlers=[handlers],
    publishes=[OrderPlaced],
)
app = subscriber.app
