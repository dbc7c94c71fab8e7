"""What the service `meters` tells of itself, and what it can be asked."""

from dataclasses import dataclass

from sagas_framework import Command, Event

SOURCE = "meters"
COMMANDS, EVENTS = "meters.commands", "houses.events"


@dataclass(frozen=True)
class MeterRead:
    meter: str
    house: str
    reading: int
    trouble: str = ""
    """What is to happen to whoever handles it: `raise`, `kill`."""


@dataclass(frozen=True)
class MeterMoved:
    """Sent to the houses' queue, where nobody knows it."""

    meter: str


@dataclass(frozen=True)
class MeterPainted:
    """Nobody subscribes to it."""

    meter: str


@dataclass(frozen=True)
class MeterBilled:
    """Told by the houses to themselves."""

    bill: str


@dataclass(frozen=True)
class Bill:
    meter: str
    reading: int
    why: str


meter_read = Event("meters.read", source=SOURCE, payload=MeterRead, key="meter", subscribers=[EVENTS])
meter_moved = Event("meters.moved", source=SOURCE, payload=MeterMoved, key="meter", subscribers=[EVENTS])
meter_painted = Event("meters.painted", source=SOURCE, payload=MeterPainted, key="meter")
meter_billed = Event("houses.billed", source="houses", payload=MeterBilled, key="bill", subscribers=[EVENTS])
bill = Command("meters.bill", queue=COMMANDS, payload=Bill)
