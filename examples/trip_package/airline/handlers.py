"""What the airline does when a saga asks."""

from examples.trip_package.airline.models import PlaneTicket
from examples.trip_package.provider_messages import Traveller, book_plane_ticket, cancel_plane_ticket_booking
from sagas_framework import HandlerContext, handles


@handles(book_plane_ticket, database_only=True)
def book(traveller: Traveller, step: HandlerContext) -> None:
    step.session.add(PlaneTicket(saga_id=step.saga_id, passenger=traveller.name))


@handles(cancel_plane_ticket_booking, database_only=True)
def cancel(traveller: Traveller, step: HandlerContext) -> None:
    step.session.delete(step.session.get_one(PlaneTicket, step.saga_id))
