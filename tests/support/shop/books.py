"""The subscriber to what the saga tells of its end."""

from sagas_framework import create_subscriber
from sagas_framework.environment import read_broker, read_database_url
from tests.support.shop import books_handlers
from tests.support.shop.messages import BOOKS_EVENTS

subscriber = create_subscriber(
    "books",
    broker=read_broker(),
    database_url=read_database_url("BOOKS"),
    queue=BOOKS_EVENTS,
    handlers=[books_handlers],
)
app = subscriber.app
