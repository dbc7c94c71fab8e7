"""What accounting does with an order that the restaurant would cook."""

from examples.order_choreography.accounting.models import Authorization
from examples.order_choreography.events import CardAuthorized, CardRefused, TicketCreated
from sagas_framework import EventContext, handles

BALANCE = 50
"""What every card of this example holds."""


@handles(TicketCreated)
def authorize_card(event: TicketCreated, context: EventContext) -> None:
    if event.amount > BALANCE:
        context.publish(CardRefused(event.order_id, f"card {event.card_id} does not hold {event.amount}"))
        return
    context.session.add(Authorization(order_id=event.order_id, card_id=event.card_id, amount=event.amount))
    context.publish(CardAuthorized(event.order_id))
