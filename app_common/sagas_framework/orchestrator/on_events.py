"""Sagas that events start: each in the transaction that handles the event, and so once for each event."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection

from sagas_framework.definition.graph import Definition
from sagas_framework.definition.saga import Data, Saga, refuse_unfinished
from sagas_framework.errors import DefinitionError
from sagas_framework.events.consumer import Consumption, Occurrence
from sagas_framework.events.outbound import Outbound
from sagas_framework.orchestrator.start import NewSaga, Started, write_started
from sagas_framework.storage.database import LentSession
from sagas_framework.vocabulary.annotations import allows, annotation_of
from sagas_framework.vocabulary.command import AnyCommand
from sagas_framework.vocabulary.event import AnyEvent, event_of
from sagas_framework.vocabulary.place import place_of_caller

Happened = TypeVar("Happened")


@dataclass(frozen=True)
class EventStart:
    """Build it with `starts`."""

    saga: type[Saga[Any]]
    event: AnyEvent
    data: Callable[[Any], Any]
    place: str

    def __str__(self) -> str:
        return f"starts({self.saga.name}, on={self.event.payload.__qualname__}, ...) ({self.place})"


def starts(saga: type[Saga[Data]], *, on: type[Happened], data: Callable[[Happened], Data]) -> EventStart:
    """An event that starts a saga, for `create_orchestrator(on_events=[...])`; `data` makes the saga's data of it:

        starts(CreateOrderSaga, on=OrderPlaced, data=order_to_create)

    The saga is started in the transaction that handles the event, once for each event. What `data` or a leading local
    step raises fails the event, which is then tried again, and waits for the operator in the end.
    """
    _refuse_no_saga(saga)
    start = EventStart(saga, event_of(on), data, place_of_caller())
    _refuse_misfit(start)
    return start


def _refuse_no_saga(saga: Any) -> None:
    refuse_unfinished(saga)
    if saga is Saga or not isinstance(saga, type) or not issubclass(saga, Saga):
        raise DefinitionError(
            f"starts({getattr(saga, '__qualname__', repr(saga))}, ...) ({place_of_caller()}): it is no saga that could "
            "be started; name a subclass of Saga"
        )


def _refuse_misfit(start: EventStart) -> None:
    if not callable(start.data):
        raise DefinitionError(f"{start}: data must be a function that takes the event, not {start.data!r}")
    try:
        (parameter,) = inspect.signature(start.data).bind(None).arguments
    except (TypeError, ValueError):
        taken = inspect.signature(start.data)
        raise DefinitionError(f"{start}: data must take one argument, the event, not {taken}") from None
    annotation = annotation_of(start.data, parameter) if inspect.isfunction(start.data) else Any
    if not allows(annotation, start.event.payload):
        raise DefinitionError(f"{start}: data takes {annotation}; the event is {start.event.payload.__qualname__}")


class SagaStarter:
    """The consumer of the events that start an orchestrator's sagas."""

    commands: Sequence[AnyCommand] = ()
    publishes: Sequence[AnyEvent] = ()

    def __init__(
        self, orchestrator: str, definitions: Mapping[str, Definition], on_events: Sequence[EventStart]
    ) -> None:
        self.orchestrator = orchestrator
        self.events: Mapping[str, AnyEvent] = {start.event.name: start.event for start in on_events}
        self._started_by: dict[str, list[tuple[Definition, Callable[[Any], Any]]]] = {}
        for start in on_events:
            together = self._started_by.setdefault(start.event.name, [])
            if any(definition.saga is start.saga for definition, _ in together):
                raise DefinitionError(f"{start} is there twice; one event starts a saga once", saga=start.saga.name)
            together.append((_registered(definitions, orchestrator, start), start.data))

    def sagas_started_by(self, event: str) -> list[str]:
        """By their names."""
        return [definition.name for definition, _ in self._started_by[event]]

    def new_sagas(self, occurrence: Occurrence, now: float) -> list[NewSaga]:
        return [
            NewSaga(definition, self.orchestrator, data(occurrence.payload), now)
            for definition, data in self._started_by[occurrence.event.name]
        ]

    def begin(self, connection: Connection, session: LentSession, outbound: Outbound, now: float) -> Consumption:
        return _Starting(self, connection, session, outbound, now)


def _registered(definitions: Mapping[str, Definition], orchestrator: str, start: EventStart) -> Definition:
    definition = definitions.get(start.saga.name)
    if definition is None or definition.saga is not start.saga:
        raise DefinitionError(
            f"{start}: it is not registered with the orchestrator {orchestrator!r}; add it to the sagas of "
            "create_orchestrator",
            saga=start.saga.name,
        )
    return definition


class _Starting:
    def __init__(
        self, starter: SagaStarter, connection: Connection, session: LentSession, outbound: Outbound, now: float
    ) -> None:
        self._starter = starter
        self._connection = connection
        self._session = session
        self._outbound = outbound
        self._now = now
        self._started: list[Started] = []

    def prepare(self, occurrences: Sequence[Occurrence]) -> None:
        pass

    def handle(self, occurrence: Occurrence) -> None:
        for new in self._starter.new_sagas(occurrence, self._now):
            self._started.append(
                new.begin(self._session, lambda event, _: self._outbound.publish(event), occurrence.named)
            )

    def write(self) -> None:
        if self._started:
            write_started(self._connection, self._started)
            self._outbound.send_along([message for started in self._started for message in started.outgoing])
