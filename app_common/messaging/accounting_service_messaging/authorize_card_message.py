"""Hold the order's price on the consumer's card. `void_authorization` gives it back."""

from dataclasses import dataclass

from messaging.accounting_service_messaging import COMMANDS_QUEUE
from sagas_framework import Command

TASK_NAME = "accounting_service.authorize_card"


@dataclass(frozen=True)
class Payload:
    card_id: int
    amount: int
    """In whole units of the currency."""


@dataclass(frozen=True)
class Response:
    transaction_id: str


message = Command(
    TASK_NAME,
    queue=COMMANDS_QUEUE,
    payload=Payload,
    response=Response,
    title="Authorize card",
    summary="Holds an amount on the card and answers with the transaction's id. Refused for a low balance.",
)
