"""What is done with events: the one interface between the inbox and whoever handles what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection

from sagas_framework.events.outbound import Outbound
from sagas_framework.storage.database import LentSession
from sagas_framework.vocabulary.command import AnyCommand
from sagas_framework.vocabulary.event import AnyEvent


@dataclass(frozen=True)
class Occurrence:
    """One event whose turn it is. `payload` is decoded; `number` counts the events of its aggregate."""

    event: AnyEvent
    message_id: str
    source: str
    aggregate: str
    number: int
    payload: Any

    @property
    def named(self) -> dict[str, Any]:
        """As the history of a saga names it."""
        return {"event": self.event.name, "message_id": self.message_id, "aggregate": self.aggregate}


class Consumption(Protocol):
    """A consumer within one transaction. What any method raises makes the whole transaction void: it is rolled back,
    and this object is thrown away."""

    def prepare(self, occurrences: Sequence[Occurrence]) -> None:
        """Called once, before any `handle`, with all that is to be handled: to lock and load with few statements."""

    def handle(self, occurrence: Occurrence) -> None: ...

    def write(self) -> None:
        """Called once, after the last `handle`."""


class Consumer(Protocol):
    """A plain handler, a process manager, a saga that an event starts."""

    @property
    def events(self) -> Mapping[str, AnyEvent]:
        """The events that it wants, by name."""

    @property
    def commands(self) -> Sequence[AnyCommand]:
        """The commands that it may send; their answers come to the subscriber."""

    @property
    def publishes(self) -> Sequence[AnyEvent]:
        """The events that it may publish, where it says so itself."""

    def begin(self, connection: Connection, session: LentSession, outbound: Outbound, now: float) -> Consumption: ...
