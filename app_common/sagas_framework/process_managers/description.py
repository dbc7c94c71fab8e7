"""A process manager as it was found to be written: checked once, at start, and never looked at again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagas_framework.events.marks import Binding
from sagas_framework.vocabulary.command import AnyCommand
from sagas_framework.vocabulary.event import AnyEvent


@dataclass(frozen=True)
class Handling:
    """The method that handles an event, and for which sagas."""

    event: AnyEvent
    method: str
    bindings: tuple[Binding, ...]


@dataclass(frozen=True)
class Applying:
    """The method that makes of one of the saga's own events a change of its state."""

    event: type[Any]
    method: str


@dataclass(frozen=True)
class Description:
    """`snapshot_every` None: it is not event-sourced."""

    name: str
    manager: type[Any]
    state: type[Any]
    handlings: Mapping[str, Handling]  # by the event's name
    key_names: frozenset[str]  # that some binding looks for
    commands: Mapping[str, AnyCommand]  # that it may send, by name
    publishes: Mapping[str, AnyEvent]  # by name
    own_events: Mapping[str, Applying]  # by the class's name
    snapshot_every: int | None
