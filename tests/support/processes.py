"""Process managers for tests, the same on both ways of keeping a state; and a desk that hands them events."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, ClassVar

from sqlalchemy import Engine, Row, func, select
from sqlalchemy import Table as SqlTable

from sagas_framework import Command, handles
from sagas_framework.events.consumer import Consumption, Occurrence
from sagas_framework.events.outbound import Outbound
from sagas_framework.process_managers.compiler import process_manager_of
from sagas_framework.process_managers.consumer import ProcessManagerConsumer
from sagas_framework.process_managers.keys import MAX_VALUE_CHARACTERS
from sagas_framework.process_managers.manager import EventSourcedProcessManager, ProcessManager, applies
from sagas_framework.storage.database import lent_session
from sagas_framework.storage.schema import history, instances, outbox, process_events, process_keys
from sagas_framework.transport.wire import OutgoingMessage
from sagas_framework.vocabulary.event import Event, event_of

NOW = 1_000_000.0
SUBSCRIBER = "collections"


def declared(kind: type[Any]) -> type[Any]:
    Event(f"shop.{kind.__name__}", source="shop", payload=kind, key="about", subscribers=["collections.events"])
    return kind


@dataclass(frozen=True)
class Told:
    about: str
    ref: str | None = None


@dataclass(frozen=True)
class Opened:
    about: str
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Retagged:
    about: str
    tags: list[str]


@declared
@dataclass(frozen=True)
class Kept:
    about: str
    words: list[str]


class Closed(Told): ...


class Asked(Told):
    """What is in the sagas' states?"""


class ForNew(Told): ...


class ForAll(Told): ...


class ForAllOrNew(Told): ...


class ForTagged(Told): ...


class ForTaggedOrNew(Told): ...


class ForTaggedAndAll(Told): ...


class ForTaggedAndNew(Told): ...


class ForTaggedOrNamedOrNew(Told): ...


class ForTaggedOrNewAndAll(Told): ...


UNDER_TEST = (
    ForNew,
    ForAll,
    ForAllOrNew,
    ForTagged,
    ForTaggedOrNew,
    ForTaggedAndAll,
    ForTaggedAndNew,
    ForTaggedOrNamedOrNew,
    ForTaggedOrNewAndAll,
)
for _kind in (Opened, Retagged, Closed, Asked, *UNDER_TEST):
    declared(_kind)


@dataclass(frozen=True)
class Parcel:
    to: str


pack = Command("stock.pack", queue="stock", payload=Parcel)


@declared
@dataclass(frozen=True)
class Collected:
    about: str


@dataclass
class Collection:
    name: str = ""
    heard: list[str] = field(default_factory=list)


class Answers:
    """What sagas said of their states."""

    given: ClassVar[list[tuple[str, tuple[str, ...]]]] = []


class Handlers(ProcessManager[Collection]):
    """All but how a state changes."""

    commands = (pack,)
    publishes = (Collected,)

    def call(self, name: str) -> None:
        raise NotImplementedError

    def hear(self, what: str) -> None:
        raise NotImplementedError

    @handles(Opened, starts="always")
    def open(self, event: Opened) -> None:
        self.call(event.about)
        self.keys.set("name", event.about)
        self.keys.set("tag", *event.tags)

    @handles(Retagged, saga_key="name", event_key="about")
    def retag(self, event: Retagged) -> None:
        self.keys.set("tag", *event.tags)

    @handles(Closed, saga_key="name", event_key="about")
    def close(self, event: Closed) -> None:
        self.end()

    @handles(Asked)
    def answer(self, event: Asked) -> None:
        Answers.given.append((self.state.name, tuple(self.state.heard)))

    @handles(ForNew, starts="always")
    def for_new(self, event: ForNew) -> None:
        self.hear("ForNew")

    @handles(ForAll)
    def for_all(self, event: ForAll) -> None:
        self.hear("ForAll")

    @handles(ForAllOrNew, starts="if_none")
    def for_all_or_new(self, event: ForAllOrNew) -> None:
        self.hear("ForAllOrNew")

    @handles(ForTagged, saga_key="tag", event_key="ref")
    def for_tagged(self, event: ForTagged) -> None:
        self.hear("ForTagged")

    @handles(ForTaggedOrNew, saga_key="tag", event_key="ref", starts="if_none")
    def for_tagged_or_new(self, event: ForTaggedOrNew) -> None:
        self.hear("ForTaggedOrNew")
        if event.ref and len(event.ref) <= MAX_VALUE_CHARACTERS:
            self.keys.set("tag", event.ref)

    @handles(ForTaggedAndAll)
    @handles(ForTaggedAndAll, saga_key="tag", event_key="ref")
    def for_tagged_and_all(self, event: ForTaggedAndAll) -> None:
        self.hear("ForTaggedAndAll")

    @handles(ForTaggedAndNew, saga_key="tag", event_key="ref")
    @handles(ForTaggedAndNew, starts="always")
    def for_tagged_and_new(self, event: ForTaggedAndNew) -> None:
        self.hear("ForTaggedAndNew")

    @handles(ForTaggedOrNamedOrNew, saga_key="tag", event_key="ref", starts="if_none")
    @handles(ForTaggedOrNamedOrNew, saga_key="name", event_key="about", starts="if_none")
    def for_tagged_or_named(self, event: ForTaggedOrNamedOrNew) -> None:
        self.hear("ForTaggedOrNamedOrNew")

    @handles(ForTaggedOrNewAndAll, saga_key="tag", event_key="ref", starts="if_none")
    @handles(ForTaggedOrNewAndAll)
    def for_tagged_or_new_and_all(self, event: ForTaggedOrNewAndAll) -> None:
        self.hear("ForTaggedOrNewAndAll")


class Plain(Handlers):
    def call(self, name: str) -> None:
        self.state.name = name

    def hear(self, what: str) -> None:
        self.state.heard.append(what)


@dataclass(frozen=True)
class Named:
    name: str


@dataclass(frozen=True)
class Heard:
    what: str


class Streamed(Handlers, EventSourcedProcessManager[Collection]):
    snapshot_every = 3

    def call(self, name: str) -> None:
        self.record(Named(name))

    def hear(self, what: str) -> None:
        self.record(Heard(what))

    @applies(Named)
    def _named(self, event: Named) -> None:
        self.state.name = event.name

    @applies(Heard)
    def _heard(self, event: Heard) -> None:
        self.state.heard.append(event.what)


class Desk:
    """Hands events to one process manager, as the inbox does: those of one `take` in one transaction."""

    def __init__(self, engine: Engine, manager: type[ProcessManager[Any]], subscriber: str = SUBSCRIBER) -> None:
        self.engine = engine
        self.manager = manager
        self.consumer = ProcessManagerConsumer(process_manager_of(manager), subscriber)
        self._numbers = count(1)

    def take(self, *events: Any) -> list[OutgoingMessage]:
        with self.taking(*events) as (consumption, occurrences):
            for occurrence in occurrences:
                consumption.handle(occurrence)
        return self.sent

    @contextmanager
    def taking(self, *events: Any, now: float = NOW) -> Iterator[tuple[Consumption, Sequence[Occurrence]]]:
        """The transaction, when what is to be handled has been prepared."""
        occurrences = [self.occurrence(event) for event in events]
        with self.engine.begin() as connection, lent_session(connection) as session:
            outbound = Outbound({event_of(Collected).name: event_of(Collected)})
            consumption = self.consumer.begin(connection, session, outbound, now)
            consumption.prepare(occurrences)
            yield consumption, occurrences
            consumption.write()
            self.sent = outbound.write(connection, now, sent_at_once=True)

    def occurrence(self, event: Any) -> Occurrence:
        number = next(self._numbers)
        return Occurrence(event_of(event), f"message-{number}", "shop", f"about={event.about}", number, event)

    def states(self) -> dict[str, tuple[str, ...]]:
        """What the living sagas' states hold; a saga without a name is "new"."""
        Answers.given.clear()
        self.take(Asked("all"))
        assert len({name for name, _ in Answers.given}) == len(Answers.given), "two of one name"
        return {name or "new": heard for name, heard in Answers.given}

    def rows(self, table: SqlTable) -> list[Row[Any]]:
        with self.engine.connect() as connection:
            return list(connection.execute(select(table).order_by(*table.primary_key)))

    def counted(self) -> dict[str, int]:
        tables = (instances, process_keys, process_events, history, outbox)
        with self.engine.connect() as connection:
            return {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables}

    def keys(self, name: str) -> set[tuple[str, str]]:
        """The rows of the saga with this name."""
        of_saga = defaultdict(set)
        for row in self.rows(process_keys):
            of_saga[row.saga_id].add((row.name, row.value))
        return next((keys for keys in of_saga.values() if ("name", name) in keys), set())
