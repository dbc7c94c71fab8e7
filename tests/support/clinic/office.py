"""The subscriber, whose process managers send commands and publish as well."""

from dataclasses import dataclass

from sagas_framework import ProcessManager, create_subscriber, handles
from sagas_framework.environment import read_broker, read_database_url
from tests.support.clinic.messages import CLINIC, EVENTS, Admitted, Discharged, Examined, Patient, examine


@dataclass
class Nothing:
    """There is nothing to remember."""


class Visit(ProcessManager[Nothing]):
    commands = (examine,)
    publishes = (Discharged,)

    @handles(Admitted, starts="always")
    def begin(self, event: Admitted) -> None:
        self.keys.set("number", event.number)
        self.send(examine, Patient(event.number))

    @handles(Examined, saga_key="number", event_key="number")
    def let_go(self, event: Examined) -> None:
        self.publish(Discharged(event.number))

    @handles(Discharged, saga_key="number", event_key="number")
    def close(self, event: Discharged) -> None:
        self.end()


subscriber = create_subscriber(
    CLINIC,
    broker=read_broker(),
    database_url=read_database_url("CLINIC"),
    queue=EVENTS,
    process_managers=[Visit],
)
app = subscriber.app
