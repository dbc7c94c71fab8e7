"""The participant: does commands, and publishes. `python -m tests.support.clinic.ward COUNT` admits so many."""

import sys

from sagas_framework import create_participant
from sagas_framework.environment import read_broker, read_database_url
from tests.support.clinic import ward_handlers
from tests.support.clinic.messages import CLINIC, COMMANDS, Admitted, Examined

participant = create_participant(
    CLINIC,
    broker=read_broker(),
    database_url=read_database_url("CLINIC"),
    queue=COMMANDS,
    handlers=[ward_handlers],
    publishes=[Admitted, Examined],
)
app = participant.app

if __name__ == "__main__":
    with participant.sessions.begin() as session:
        for number in range(int(sys.argv[1])):
            participant.publish(Admitted(number), session=session)
