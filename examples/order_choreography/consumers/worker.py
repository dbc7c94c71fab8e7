"""Wiring of the consumer service's worker."""

from examples.order_choreography.consumers import handlers
from examples.order_choreography.events import CONSUMERS, CONSUMERS_EVENTS, ConsumerRefused, ConsumerVerified
from sagas_framework import create_subscriber
from sagas_framework.environment import read_broker, read_database_url

subscriber = create_subscriber(
    CONSUMERS,
    broker=read_broker(),
    database_url=read_database_url("CONSUMERS"),
    queue=CONSUMERS_EVENTS,
    handlers=[handlers],
    publishes=[ConsumerRefused, ConsumerVerified],
)
app = subscriber.app
