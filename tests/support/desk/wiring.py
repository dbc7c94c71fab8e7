from sagas_framework import Orchestrator, Subscriber, create_orchestrator, create_subscriber
from tests.support.desk import handlers, messages


def make_publisher(broker: str, database_url: str) -> Orchestrator:
    return create_orchestrator(
        "desk", broker=broker, database_url=database_url, sagas=[], publishes=[messages.GuestArrived]
    )


def make_subscriber(broker: str, database_url: str) -> Subscriber:
    return create_subscriber(
        "guest_book", broker=broker, database_url=database_url, queue=messages.BOOK, handlers=[handlers]
    )
