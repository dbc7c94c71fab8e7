from dataclasses import dataclass

from sagas_framework import Event

BOOK, STRANGER, NOBODY = "guest_book.events", "stranger.events", "closed.events"


@dataclass(frozen=True)
class GuestArrived:
    guest_id: int
    name: str


message = Event(
    "desk.guest_arrived",
    source="desk",
    payload=GuestArrived,
    key="guest_id",
    subscribers=[BOOK, STRANGER, NOBODY],
    title="A guest has arrived",
)
