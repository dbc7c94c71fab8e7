"""What `@handles(EventType, ...)` notes on a function or a method; who reads it says whether it makes sense there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from sagas_framework.vocabulary.event import AnyEvent, event_of
from sagas_framework.vocabulary.place import place_of_caller

_MARKS = "__sagas_bindings__"

Starts = Literal["never", "if_none", "always"]
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Binding:
    """Which sagas an event is for: all (without a key), or those one of whose keys equals a field of the event.
    `starts`: whether it starts a new one, always or where none is found."""

    event: AnyEvent
    starts: Starts
    saga_key: str | None
    event_key: str | None
    place: str


def mark_as_handler_of(
    event_type: type[Any], starts: Starts, saga_key: str | None, event_key: str | None
) -> Callable[[Function], Function]:
    binding = Binding(event_of(event_type), starts, saga_key, event_key, place_of_caller())

    def mark(function: Function) -> Function:
        # The uppermost decorator is applied last, and is meant to be read first.
        setattr(function, _MARKS, (binding, *bindings_of(function)))
        return function

    return mark


def bindings_of(function: Any) -> tuple[Binding, ...]:
    """In the order in which they stand above it."""
    found = getattr(function, "__dict__", {}).get(_MARKS, ())
    return found if isinstance(found, tuple) else ()
