"""Take a ticket back: compensates `create_ticket`."""

from dataclasses import dataclass

from messaging.restaurant_service_messaging import COMMANDS_QUEUE
from sagas_framework import Command

TASK_NAME = "restaurant_service.reject_ticket"


@dataclass(frozen=True)
class Payload:
    ticket_id: int | None
    """None when the reply that carried the id never arrived: the restaurant remembers its ticket."""


message = Command(
    TASK_NAME,
    queue=COMMANDS_QUEUE,
    payload=Payload,
    title="Reject restaurant ticket",
    summary="Rejects the ticket that this saga created, so that nobody cooks for a rejected order.",
)
