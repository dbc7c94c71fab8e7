"""A clinic of two processes with one name and one database: a participant that publishes, and a subscriber."""

from dataclasses import dataclass

from sagas_framework import Command, Event

CLINIC, COMMANDS, EVENTS = "clinic", "clinic.commands", "clinic.events"


@dataclass(frozen=True)
class Patient:
    number: int


@dataclass(frozen=True)
class Admitted:
    number: int


@dataclass(frozen=True)
class Examined:
    number: int


@dataclass(frozen=True)
class Discharged:
    number: int


examine = Command("clinic.examine", COMMANDS, Patient)
admitted = Event("clinic.admitted", CLINIC, payload=Admitted, key="number", subscribers=[EVENTS])
examined = Event("clinic.examined", CLINIC, payload=Examined, key="number", subscribers=[EVENTS])
discharged = Event("clinic.discharged", CLINIC, payload=Discharged, key="number", subscribers=[EVENTS])
