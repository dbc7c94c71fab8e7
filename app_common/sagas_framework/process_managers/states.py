"""The two ways of keeping a saga's state: as it is, or as the events that have made it.

Between two events it is always encoded: each handler is given what would be read back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from sagas_framework.errors import DefinitionError
from sagas_framework.process_managers.description import Description
from sagas_framework.storage.processes import OwnEvent
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.sameness import unlike


class State(Protocol):
    """`value` is what the handler has in hand; `applying`: it is being made of recorded events, and of nothing else."""

    value: Any
    applying: bool

    def open(self, manager: Any) -> None: ...

    def close(self, manager: Any, method: str) -> None:
        """Encodes it again, checked."""

    def record(self, manager: Any, event: Any) -> None: ...

    @property
    def stored(self) -> Any:
        """For the row."""

    @property
    def recorded(self) -> Sequence[OwnEvent]:
        """Since it was loaded."""


def state_of(description: Description, saga_id: str, stored: Any, stream: Sequence[OwnEvent]) -> State:
    """`stored` None: the saga begins."""
    kind = PlainState if description.snapshot_every is None else EventSourcedState
    return kind(description, saga_id, stored, stream)


class PlainState:
    applying = False
    recorded: Sequence[OwnEvent] = ()

    def __init__(self, description: Description, saga_id: str, stored: Any, stream: Sequence[OwnEvent]) -> None:
        self._type = description.state
        self._what = f"state of {description.name} {saga_id}"
        self.stored = stored
        self.value: Any = None

    def open(self, manager: Any) -> None:
        self.value = self._type() if self.stored is None else codec.decode(self._type, self.stored, self._what)

    def close(self, manager: Any, method: str) -> None:
        self.stored = codec.encode(self._type, self.value, self._what)

    def record(self, manager: Any, event: Any) -> None:
        raise AssertionError("only an event-sourced process manager has a `record`")


class EventSourcedState:
    """`stored` is a snapshot, and the version that it was made at; what was recorded after it is in the stream."""

    def __init__(self, description: Description, saga_id: str, stored: Any, stream: Sequence[OwnEvent]) -> None:
        self._description = description
        self._saga_id = saga_id
        self._what = f"state of {description.name} {saga_id}"
        self._stream = stream
        self._recorded: list[OwnEvent] = []
        self._made_of = 0  # how many of them have made what is in `_encoded`
        self._snapshot = stored or {"version": 0, "state": self._encode(description.state())}
        self._encoded: Any = None if stream else self._snapshot["state"]
        self.value: Any = None
        self.applying = False

    @property
    def recorded(self) -> Sequence[OwnEvent]:
        return self._recorded

    @property
    def stored(self) -> Any:
        every = self._description.snapshot_every
        assert every is not None
        if self._version - self._snapshot["version"] >= every:
            self._snapshot = {"version": self._version, "state": self._encoded}
        return self._snapshot

    @property
    def _version(self) -> int:
        return int(self._snapshot["version"]) + len(self._stream) + len(self._recorded)

    def open(self, manager: Any) -> None:
        if self._encoded is None:
            made = self._made(manager, self._snapshot["state"], self._stream)
            self._encoded = self._encode(made)
        self.value = codec.decode(self._description.state, self._encoded, self._what)

    def close(self, manager: Any, method: str) -> None:
        """What was not recorded would be gone the next time: the state is made once more, of what was."""
        made = self._made(manager, self._encoded, self._recorded[self._made_of :])
        difference = unlike(self.value, made)
        if difference is not None:
            where = ".".join(("state", *difference.path))
            raise DefinitionError(
                f"method {method!r} leaves self.{where} other than the events that it has recorded make it: the change "
                "would be lost. self.record(...) what has happened, and change the state in the @applies method of "
                "that, by nothing but the event",
                saga=self._description.name,
            )
        self._encoded, self._made_of = self._encode(made), len(self._recorded)

    def record(self, manager: Any, event: Any) -> None:
        applying = self._description.own_events.get(type(event).__name__)
        if applying is None or applying.event is not type(event):
            known = ", ".join(sorted(self._description.own_events)) or "none"
            raise DefinitionError(
                f"no method says what {type(event).__qualname__} does to the state (there is one for: {known}); add "
                f"one with @applies({type(event).__name__})",
                saga=self._description.name,
            )
        payload = codec.encode(applying.event, event, f"own event {applying.event.__name__}")
        own = OwnEvent(self._saga_id, self._version + 1, applying.event.__name__, payload)
        self._recorded.append(own)
        self._apply(manager, [own])

    def _made(self, manager: Any, encoded: Any, events: Iterable[OwnEvent]) -> Any:
        """The state that events make of another one; what is in hand stays."""
        in_hand = self.value
        self.value = codec.decode(self._description.state, encoded, self._what)
        try:
            self._apply(manager, events)
            return self.value
        finally:
            self.value = in_hand

    def _apply(self, manager: Any, events: Iterable[OwnEvent]) -> None:
        self.applying = True
        try:
            for own in events:
                applying = self._description.own_events.get(own.event)
                if applying is None:
                    raise DefinitionError(
                        f"saga {self._saga_id} has recorded {own.event!r}, and no method applies it any more: keep "
                        "the class and its @applies method as long as there are sagas that have recorded it",
                        saga=self._description.name,
                    )
                event = codec.decode(applying.event, own.payload, f"own event {own.event}")
                getattr(manager, applying.method)(event)
        finally:
            self.applying = False

    def _encode(self, value: Any) -> Any:
        return codec.encode(self._description.state, value, self._what)
