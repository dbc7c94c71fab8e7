"""What the museum does when a saga asks."""

from examples.trip_package.museum.models import TouristTickets
from examples.trip_package.provider_messages import Traveller, buy_tourist_tickets, cancel_tourist_ticket_reservations
from sagas_framework import HandlerContext, handles


@handles(buy_tourist_tickets, database_only=True)
def buy(traveller: Traveller, step: HandlerContext) -> None:
    step.session.add(TouristTickets(saga_id=step.saga_id, visitor=traveller.name))


@handles(cancel_tourist_ticket_reservations, database_only=True)
def cancel(traveller: Traveller, step: HandlerContext) -> None:
    step.session.delete(step.session.get_one(TouristTickets, step.saga_id))
