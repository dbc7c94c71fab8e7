"""What the restaurant service does when a saga asks."""

from dataclasses import asdict

from sqlalchemy import bindparam, update

from messaging.restaurant_service_messaging import (
    approve_ticket_message,
    create_ticket_message,
    reject_ticket_message,
)
from restaurant_service.models import Ticket, TicketStatus
from restaurant_service.settings import transient_approvals
from sagas_framework import HandlerContext, Refusal, TransientError, handles


class NothingToCook(Refusal):
    """An order without items, or with an item that nobody wants any of."""


class UnknownTicket(Refusal):
    """There is no such ticket."""


class TicketWasRejected(Refusal):
    """The order was called off: nobody may begin to cook for it."""


class TicketWasApproved(Refusal):
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
    if not _decide(payload.ticket_id, TicketStatus.APPROVED, step, unless=TicketStatus.REJECTED):
        raise TicketWasRejected(f"Ticket {payload.ticket_id} was rejected and cannot be approved")


@handles(reject_ticket_message.message, database_only=True)
def reject_ticket(payload: reject_ticket_message.Payload, step: HandlerContext) -> None:
    # What we answered ourselves goes first: the id may have been lost on its way to the orchestrator.
    ticket_id = step.reply["ticket_id"] if step.reply else payload.ticket_id
    if not _decide(ticket_id, TicketStatus.REJECTED, step, unless=TicketStatus.APPROVED):
        raise TicketWasApproved(f"Ticket {ticket_id} was approved and cannot be rejected")


_DECIDE = (
    update(Ticket)
    .where(Ticket.id == bindparam("ticket_id"), Ticket.status != bindparam("unless"))
    .values(status=bindparam("decision"))
    .returning(Ticket.id)
    .execution_options(synchronize_session=False)
)


def _decide(ticket_id: int | None, decision: TicketStatus, step: HandlerContext, *, unless: TicketStatus) -> bool:
    """Whether it is not too late. The framework keeps an action and its compensation apart, not two steps on one
    ticket: so the condition stands in the statement itself."""
    chosen = {"ticket_id": ticket_id, "decision": decision.value, "unless": unless.value}
    if step.session.execute(_DECIDE, chosen).first() is not None:
        return True
    if ticket_id is None or step.session.get(Ticket, ticket_id) is None:
        raise UnknownTicket(f"There is no ticket {ticket_id}")
    return False
