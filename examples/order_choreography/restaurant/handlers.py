"""What the restaurant does with an order whose consumer may order. The last two finish, or undo, what the first did."""

from examples.order_choreography.events import (
    CardAuthorized,
    CardRefused,
    ConsumerVerified,
    TicketCreated,
    TicketRefused,
)
from examples.order_choreography.restaurant.models import Ticket, TicketStatus
from sagas_framework import EventContext, handles

MENU = ("Margherita", "Pad Thai", "Ramen")


@handles(ConsumerVerified)
def create_ticket(event: ConsumerVerified, context: EventContext) -> None:
    if event.dish not in MENU:
        context.publish(TicketRefused(event.order_id, f"{event.dish} is not on the menu"))
        return
    context.session.add(Ticket(order_id=event.order_id, dish=event.dish))
    context.publish(TicketCreated(event.order_id, event.card_id, event.amount))


@handles(CardAuthorized)
def approve_ticket(event: CardAuthorized, context: EventContext) -> None:
    context.session.get_one(Ticket, event.order_id).status = TicketStatus.APPROVED.value


@handles(CardRefused)
def reject_ticket(event: CardRefused, context: EventContext) -> None:
    context.session.get_one(Ticket, event.order_id).status = TicketStatus.REJECTED.value
