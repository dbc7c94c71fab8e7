"""Plain functions that handle events: `@handles(OrderPlaced)` above `create_ticket(event, context)`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from sagas_framework.errors import ConfigurationError, DefinitionError
from sagas_framework.events.consumer import Consumption, Occurrence
from sagas_framework.events.marks import Binding, bindings_of
from sagas_framework.events.outbound import Outbound
from sagas_framework.storage.database import LentSession
from sagas_framework.vocabulary.annotations import annotation_in
from sagas_framework.vocabulary.command import AnyCommand
from sagas_framework.vocabulary.event import AnyEvent

Function = Callable[..., Any]


@dataclass(frozen=True)
class EventContext:
    """What a handler of events is given besides the event.

    `session` is the local transaction: what is written there commits together with the mark that this event was
    handled, or not at all. `aggregate` is what the event is about, `number` its place among the events of the same.
    """

    session: Session
    message_id: str
    source: str
    aggregate: str
    number: int
    _outbound: Outbound

    def publish(self, event: Any) -> None:
        """In the same transaction; it leaves when that is committed."""
        self._outbound.publish(event)


class PlainHandler:
    """One function, for all the events that stand above it."""

    commands: Sequence[AnyCommand] = ()
    publishes: Sequence[AnyEvent] = ()

    def __init__(self, function: Function, bindings: Sequence[Binding]) -> None:
        self.function = function
        self.events: Mapping[str, AnyEvent] = {binding.event.name: binding.event for binding in bindings}
        self.name = f"{function.__module__}.{function.__qualname__}"
        self.place = bindings[0].place

    def begin(self, connection: Connection, session: LentSession, outbound: Outbound, now: float) -> Consumption:
        return _Calls(self.function, session, outbound)


class _Calls:
    def __init__(self, function: Function, session: LentSession, outbound: Outbound) -> None:
        self._function = function
        self._session = session
        self._outbound = outbound

    def prepare(self, occurrences: Sequence[Occurrence]) -> None:
        pass

    def handle(self, occurrence: Occurrence) -> None:
        context = EventContext(
            self._session,
            occurrence.message_id,
            occurrence.source,
            occurrence.aggregate,
            occurrence.number,
            self._outbound,
        )
        self._function(occurrence.payload, context)

    def write(self) -> None:
        pass


def plain_handlers_in(modules: Iterable[ModuleType]) -> list[PlainHandler]:
    """Every function of these modules that handles events."""
    found: dict[Function, tuple[str, PlainHandler]] = {}
    for module in modules:
        for where, handler in _handlers_of(module):
            first, known = found.setdefault(handler.function, (where, handler))
            if known is not handler:
                raise ConfigurationError(
                    f"{handler.name} ({handler.place}) is among the handlers twice (in {first} and in {where}), and "
                    "would run twice for each event; hand it in once"
                )
    return [handler for _, handler in found.values()]


def _handlers_of(module: ModuleType) -> list[tuple[str, PlainHandler]]:
    found = []
    for name, function in vars(module).items():
        if not inspect.isfunction(function) or function.__module__ != module.__name__:
            continue  # what it imports is somebody else's, and would be called twice
        if bindings := bindings_of(function):
            for binding in bindings:
                _refuse_misfit(function, binding)
            found.append((f"{module.__name__}.{name}", PlainHandler(function, bindings)))
    if not found:
        raise ConfigurationError(f"{module.__name__} holds no function with @handles(<an event>)")
    return found


def _refuse_misfit(function: Function, binding: Binding) -> None:
    what = f"handler {function.__module__}.{function.__qualname__} ({binding.place}) of {binding.event.name!r}"
    if binding.saga_key is not None or binding.event_key is not None or binding.starts != "never":
        raise DefinitionError(
            f"{what}: saga_key, event_key and starts say which sagas of a process manager an event is for, and mean "
            "nothing above a plain function; leave them out"
        )
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) != 2:
        raise DefinitionError(f"{what} must take (event, context), not {parameters}")
    annotation = annotation_in(function.__annotations__.get(parameters[0], Any), function.__globals__)
    # Of Python 3.11 on, Any is a class, too.
    if annotation is not Any and inspect.isclass(annotation) and not issubclass(binding.event.payload, annotation):
        raise DefinitionError(
            f"{what}: its {parameters[0]!r} is annotated with {annotation.__qualname__}; the event is a "
            f"{binding.event.payload.__qualname__}"
        )
