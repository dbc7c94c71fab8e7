"""The participant. `python -m tests.support.shop.till COUNT` tells of so many orders, in one transaction."""

import sys

from sagas_framework import create_participant
from sagas_framework.environment import read_broker, read_database_url
from tests.support.shop import till_handlers
from tests.support.shop.messages import TILL_QUEUE, OrderPlaced

participant = create_participant(
    "till",
    broker=read_broker(),
    database_url=read_database_url("TILL"),
    queue=TILL_QUEUE,
    handlers=[till_handlers],
    publishes=[OrderPlaced],
)
app = participant.app

if __name__ == "__main__":
    with participant.sessions.begin() as session:
        for order_id in range(int(sys.argv[1])):
            participant.publish(OrderPlaced(order_id), session=session)
