"""What the agency is asked for: a command of its own for each thing, so that a test can pick the moment of one."""

from dataclasses import dataclass

from sagas_framework import Command

QUEUE = "agency.commands"
THINGS = (
    *("announcement", "offer", "plane", "hotel", "dinner", "garage", "keys", "insurance", "suite", "room"),
    *("postcard", "payment", "ticket", "taxi"),
)


@dataclass(frozen=True)
class Booking:
    thing: str
    refused: bool


book = {thing: Command(f"agency.book_{thing}", QUEUE, Booking) for thing in THINGS}
cancel = {thing: Command(f"agency.cancel_{thing}", QUEUE, Booking) for thing in THINGS}
