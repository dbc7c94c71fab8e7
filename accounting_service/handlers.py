"""What the accounting service does when a saga asks."""

from uuid import uuid4

from accounting_service.models import AuthorizationStatus, CardAuthorization
from messaging.accounting_service_messaging import authorize_card_message, void_authorization_message
from sagas_framework import HandlerContext, Refusal, handles

CENTS_PER_UNIT = 100
BALANCE_CENTS = 50 * CENTS_PER_UNIT
"""What every card of this example holds: an amount must stay below it."""


class InvalidAmount(Refusal):
    """Nothing, or less than nothing, cannot be held on a card."""


class InsufficientBalance(Refusal):
    """The card does not hold enough."""


class UnknownAuthorization(Refusal):
    """There is no such authorization."""


@handles(authorize_card_message.message, database_only=True)
def authorize_card(payload: authorize_card_message.Payload, step: HandlerContext) -> authorize_card_message.Response:
    amount_cents = payload.amount * CENTS_PER_UNIT
    if amount_cents <= 0:
        raise InvalidAmount(f"Cannot authorize an amount of {payload.amount}")
    if amount_cents >= BALANCE_CENTS:
        raise InsufficientBalance(f"The balance of card {payload.card_id} is too low for {payload.amount}")
    authorization = CardAuthorization(
        transaction_id=str(uuid4()),
        saga_id=step.saga_id,
        card_id=payload.card_id,
        amount_cents=amount_cents,
        status=AuthorizationStatus.AUTHORIZED.value,
    )
    step.session.add(authorization)
    return authorize_card_message.Response(transaction_id=authorization.transaction_id)


@handles(void_authorization_message.message, database_only=True)
def void_authorization(payload: void_authorization_message.Payload, step: HandlerContext) -> None:
    # What we answered ourselves goes first: the id may have been lost on its way to the orchestrator.
    transaction_id = step.reply["transaction_id"] if step.reply else payload.transaction_id
    authorization = (
        None if transaction_id is None else step.session.get(CardAuthorization, transaction_id, with_for_update=True)
    )
    if authorization is None:
        raise UnknownAuthorization(f"There is no authorization {transaction_id}")
    authorization.status = AuthorizationStatus.VOIDED.value
