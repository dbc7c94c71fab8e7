"""What the restaurant service does when a saga asks."""

from dataclasses import asdict

from messaging.restaurant_service_messaging import (
    approve_ticket_message,
    create_ticket_message,
    reject_ticket_message,
)
from restaurant_service.models import Ticket, TicketStatus
from restaurant_service.settings import transient_approvals
from sagas_framework import HandlerContext, TransientError, handles


class NothingToCook(Exception):
    """An order without items, or with an item that nobody wants any of."""


class UnknownTicket(Exception):
    """There is no such ticket."""


class TicketWasRejected(Exception):
    """The order was called off: nobody may begin to cook for it."""


class TicketWasApproved(Exception):
    """The kitchen has begun to cook: too late to call the order off."""


class KitchenIsBusy(TransientError):
    """Nobody has a hand free to look at the ticket now. Asking again later helps."""


@handles(create_ticket_message.message, database_only=True)
def create_ticket(payload: create_ticket_message.Payload, step: HandlerContext) -> create_ticket_message.Response:
    if not payload.items or any(item.quantity < 1 for item in payload.items):
        raise NothingToCook(f"Order {payload.order_id} needs items, and at least one of each")
    ticket = Ticket(
        saga_id=step.saga_id,
        order_id=payload.order_id,
        customer_id=payload.customer_id,
        items=[asdict(item) for item in payload.items],
        status=TicketStatus.CREATED.value,
    )
    step.session.add(ticket)
    step.session.flush()  # the database gives the id
    return create_ticket_message.Response(ticket_id=ticket.id)


@handles(approve_ticket_message.message, database_only=True)
def approve_ticket(payload: approve_ticket_message.Payload, step: HandlerContext) -> None:
    if step.attempt <= transient_approvals():
        raise KitchenIsBusy(f"The kitchen has no time for ticket {payload.ticket_id} yet")
    ticket = _locked_ticket(payload.ticket_id, step)
    if ticket.status == TicketStatus.REJECTED:
        raise TicketWasRejected(f"Ticket {ticket.id} was rejected and cannot be approved")
    ticket.status = TicketStatus.APPROVED.value


@handles(reject_ticket_message.message, database_only=True)
def reject_ticket(payload: reject_ticket_message.Payload, step: HandlerContext) -> None:
    # What we answered ourselves goes first: the id may have been lost on its way to the orchestrator.
    ticket_id = step.reply["ticket_id"] if step.reply else payload.ticket_id
    ticket = _locked_ticket(ticket_id, step)
    if ticket.status == TicketStatus.APPROVED:
        raise TicketWasApproved(f"Ticket {ticket.id} was approved and cannot be rejected")
    ticket.status = TicketStatus.REJECTED.value


def _locked_ticket(ticket_id: int | None, step: HandlerContext) -> Ticket:
    """Locked: the framework keeps an action and its compensation apart, not two steps on one ticket."""
    ticket = None if ticket_id is None else step.session.get(Ticket, ticket_id, with_for_update=True)
    if ticket is None:
        raise UnknownTicket(f"There is no ticket {ticket_id}")
    return ticket
