from sagas_framework import RetryPolicy, create_subscriber
from sagas_framework.environment import read_broker, read_database_url
from tests.support.houses.managers import MANAGERS
from tests.support.meters import handlers, messages

subscriber = create_subscriber(
    "houses",
    broker=read_broker(),
    database_url=read_database_url("HOUSES"),
    queue=messages.EVENTS,
    handlers=[handlers],
    process_managers=MANAGERS,
    retry=RetryPolicy(max_attempts=3, initial_delay_seconds=0.2, factor=2.0),
)
app = subscriber.app
