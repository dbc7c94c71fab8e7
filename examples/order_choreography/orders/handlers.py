"""What an order does when the others have decided."""

from examples.order_choreography.events import CardAuthorized, CardRefused, ConsumerRefused, TicketRefused
from examples.order_choreography.orders.models import Order, OrderStatus
from sagas_framework import EventContext, handles


@handles(CardAuthorized)
def approve_order(event: CardAuthorized, context: EventContext) -> None:
    context.session.get_one(Order, event.order_id).status = OrderStatus.APPROVED.value


@handles(ConsumerRefused)
@handles(TicketRefused)
@handles(CardRefused)
def reject_order(event: ConsumerRefused | TicketRefused | CardRefused, context: EventContext) -> None:
    order = context.session.get_one(Order, event.order_id)
    order.status, order.why = OrderStatus.REJECTED.value, event.why
