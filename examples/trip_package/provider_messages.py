"""The published language of the airline, the hotel and the museum."""

from dataclasses import dataclass

from sagas_framework import Command

AIRLINE_QUEUE = "airline.commands"
HOTEL_QUEUE = "hotel.commands"
MUSEUM_QUEUE = "museum.commands"


@dataclass(frozen=True)
class Traveller:
    name: str


book_plane_ticket = Command("airline.book_plane_ticket", AIRLINE_QUEUE, Traveller)
cancel_plane_ticket_booking = Command("airline.cancel_plane_ticket_booking", AIRLINE_QUEUE, Traveller)

book_hotel_room = Command("hotel.book_hotel_room", HOTEL_QUEUE, Traveller)
cancel_hotel_room_reservation = Command("hotel.cancel_hotel_room_reservation", HOTEL_QUEUE, Traveller)

buy_tourist_tickets = Command("museum.buy_tourist_tickets", MUSEUM_QUEUE, Traveller)
cancel_tourist_ticket_reservations = Command("museum.cancel_tourist_ticket_reservations", MUSEUM_QUEUE, Traveller)
