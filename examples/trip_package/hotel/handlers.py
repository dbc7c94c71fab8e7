"""What the hotel does when a saga asks."""

from sqlalchemy import select

from examples.trip_package.hotel.models import Room
from examples.trip_package.provider_messages import Traveller, book_hotel_room, cancel_hotel_room_reservation
from sagas_framework import HandlerContext, Refusal, handles


class NoRoom(Refusal):
    """Every room has its guest."""


@handles(book_hotel_room, database_only=True)
def book(traveller: Traveller, step: HandlerContext) -> None:
    a_free_room = select(Room).where(Room.saga_id.is_(None)).limit(1).with_for_update(skip_locked=True)
    room = step.session.scalars(a_free_room).first()
    if room is None:
        raise NoRoom("no available hotel rooms")
    room.guest, room.saga_id = traveller.name, step.saga_id


@handles(cancel_hotel_room_reservation, database_only=True)
def cancel(traveller: Traveller, step: HandlerContext) -> None:
    room = step.session.scalars(select(Room).where(Room.saga_id == step.saga_id)).one()
    room.guest = room.saga_id = None
