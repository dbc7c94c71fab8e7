"""Wiring of the restaurant's worker."""

from examples.order_choreography.events import RESTAURANT, RESTAURANT_EVENTS, TicketCreated, TicketRefused
from examples.order_choreography.restaurant import handlers
from sagas_framework import create_subscriber
from sagas_framework.environment import read_broker, read_database_url

subscriber = create_subscriber(
    RESTAURANT,
    broker=read_broker(),
    database_url=read_database_url("RESTAURANT"),
    queue=RESTAURANT_EVENTS,
    handlers=[handlers],
    publishes=[TicketCreated, TicketRefused],
)
app = subscriber.app
