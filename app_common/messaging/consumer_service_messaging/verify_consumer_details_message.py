"""May this consumer place orders? Success says yes; a refusal says why not. Nothing is changed."""

from dataclasses import dataclass

from messaging.consumer_service_messaging import COMMANDS_QUEUE
from sagas_framework import Command

TASK_NAME = "consumer_service.verify_consumer_details"


@dataclass(frozen=True)
class Payload:
    consumer_id: int


message = Command(
    TASK_NAME,
    queue=COMMANDS_QUEUE,
    payload=Payload,
    title="Verify consumer details",
    summary="Checks that the consumer may order. Refused for unknown and for suspended consumers.",
)
