"""Let the restaurant begin to cook."""

from dataclasses import dataclass

from messaging.restaurant_service_messaging import COMMANDS_QUEUE
from sagas_framework import Command

TASK_NAME = "restaurant_service.approve_ticket"


@dataclass(frozen=True)
class Payload:
    ticket_id: int


message = Command(
    TASK_NAME,
    queue=COMMANDS_QUEUE,
    payload=Payload,
    title="Approve restaurant ticket",
    summary="Approves the ticket once the card is authorized. May meet a busy kitchen and is asked again.",
)
