"""The package is only sold as a whole: what was booked is cancelled when one of the three cannot be had."""

from dataclasses import dataclass

from examples.trip_package.provider_messages import (
    Traveller,
    book_hotel_room,
    book_plane_ticket,
    buy_tourist_tickets,
    cancel_hotel_room_reservation,
    cancel_plane_ticket_booking,
    cancel_tourist_ticket_reservations,
)
from sagas_framework import AsyncStep, Saga, StepContext, parallel, send


@dataclass
class TripPackage:
    buyer: str


def traveller(trip: TripPackage, step: StepContext) -> Traveller:
    return Traveller(trip.buyer)


class BuyTripPackage(Saga[TripPackage]):
    response_queue = "agency.replies"
    steps = (
        parallel(
            AsyncStep(
                "book_plane_ticket",
                book_plane_ticket,
                action=traveller,
                compensation=send(cancel_plane_ticket_booking, traveller),
            ),
            AsyncStep(
                "book_hotel_room",
                book_hotel_room,
                action=traveller,
                compensation=send(cancel_hotel_room_reservation, traveller),
            ),
            AsyncStep(
                "buy_tourist_tickets",
                buy_tourist_tickets,
                action=traveller,
                compensation=send(cancel_tourist_ticket_reservations, traveller),
            ),
        ),
    )
