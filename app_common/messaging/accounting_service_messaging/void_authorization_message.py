"""Give back what `authorize_card` holds: compensates it, even when nobody knows whether it succeeded."""

from dataclasses import dataclass

from messaging.accounting_service_messaging import COMMANDS_QUEUE
from sagas_framework import Command

TASK_NAME = "accounting_service.void_authorization"


@dataclass(frozen=True)
class Payload:
    transaction_id: str | None
    """None when the reply that carried the id never arrived: accounting remembers what it authorized."""


message = Command(
    TASK_NAME,
    queue=COMMANDS_QUEUE,
    payload=Payload,
    title="Void card authorization",
    summary="Voids the authorization that this saga was given, so that a rejected order holds no money.",
)
