"""Events: what a service tells of itself, to whoever subscribes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any, Generic
from uuid import UUID

from typing_extensions import TypeVar

from sagas_framework.errors import DefinitionError, PayloadRefused
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.command import MAX_NAME_CHARACTERS, Command
from sagas_framework.vocabulary.names import MAX_SOURCE_CHARACTERS, RECEIPTS_TASK, is_source, receipts_queue_name
from sagas_framework.vocabulary.place import place_of_caller
from sagas_framework.vocabulary.text import is_storable

MAX_AGGREGATE_CHARACTERS = 200
_MARK = "__sagas_event__"

PayloadType = TypeVar("PayloadType")


@dataclass(frozen=True)
class Event(Generic[PayloadType]):
    """One thing that happens in a service, in that service's published language:

        @dataclass(frozen=True)
        class UserRegistered:
            user_id: str
            email: str

        message = Event("user_service.user_registered", source="user_service", payload=UserRegistered, key="user_id",
                        subscribers=["registration.events"])

    From then on the class stands for the event: `publish(UserRegistered(...))`, `@handles(UserRegistered)`. `source` is
    the service that publishes it; `subscribers` are the queues that get it, each of them at least once. `key` names the
    field that says what the event is about: the events of one source about the same are handled in their order.
    """

    name: str
    source: str
    payload: type[PayloadType]
    key: str
    subscribers: Sequence[str] = ()
    title: str = ""
    summary: str = ""
    place: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", place_of_caller())
        if not 0 < len(self.name) <= MAX_NAME_CHARACTERS or not is_storable(self.name):
            raise DefinitionError(f"an event needs a name of 1 to {MAX_NAME_CHARACTERS} characters, not {self.name!r}")
        if not is_source(self.source):
            raise DefinitionError(
                f"event {self.name!r}: its source names a service, and a queue after it: 1 to {MAX_SOURCE_CHARACTERS} "
                f"letters (a-z, A-Z), digits and ._- (amq. at its beginning is RabbitMQ's own), not {self.source!r}"
            )
        if self.name == RECEIPTS_TASK:
            raise DefinitionError(
                f"{RECEIPTS_TASK!r} is what receipts for events are called; give the event another name"
            )
        if isinstance(self.subscribers, str) or not all(isinstance(queue, str) and queue for queue in self.subscribers):
            raise DefinitionError(f"event {self.name!r}: subscribers must be names of queues, not {self.subscribers!r}")
        object.__setattr__(self, "subscribers", tuple(self.subscribers))
        _refuse_bad_queues(self)
        if not isinstance(self.payload, type) or not is_dataclass(self.payload):
            raise DefinitionError(f"event {self.name!r}: its payload must be a dataclass, not {self.payload!r}")
        if self.key not in (names := [one.name for one in fields(self.payload)]):
            raise DefinitionError(
                f"event {self.name!r}: its key {self.key!r} is no field of {self.payload.__qualname__}, which has "
                f"{', '.join(map(repr, names)) or 'none'}"
            )
        _mark(self)

    @property
    def receipts_queue(self) -> str:
        """Where its subscribers say that they have it."""
        return receipts_queue_name(self.source)

    def encode(self, payload: PayloadType) -> Any:
        return codec.encode(self.payload, payload, f"event {self.name}")

    def decode(self, value: Any) -> PayloadType:
        payload: PayloadType = codec.decode(self.payload, value, f"event {self.name}")
        return payload

    def key_of(self, payload: PayloadType) -> str:
        """The value of its key, as text."""
        if isinstance(payload, type):
            problem = f"this is the class {payload.__qualname__} itself; hand in an instance: what has happened"
            raise PayloadRefused(f"event {self.name}", problem)
        value = getattr(payload, self.key)
        value = value.value if isinstance(value, Enum) else value
        text = str(value) if isinstance(value, (str, int, UUID)) and not isinstance(value, bool) else ""
        if not text or len(text) > MAX_AGGREGATE_CHARACTERS - len(self.key) - 1 or not is_storable(text):
            raise PayloadRefused(
                f"event {self.name}",
                f"{self.key}: this says what it is about, and must be a short text, a number or a UUID, not {value!r}",
            )
        return text

    def aggregate_of(self, payload: PayloadType) -> str:
        """What it is about: `user_id=17`."""
        return f"{self.key}={self.key_of(payload)}"


AnyEvent = Event[Any]


def _refuse_bad_queues(event: AnyEvent) -> None:
    if too_long := [queue for queue in event.subscribers if len(queue.encode()) > MAX_NAME_CHARACTERS]:
        raise DefinitionError(
            f"event {event.name!r}: no broker has a queue of so long a name: {', '.join(too_long)} (at most "
            f"{MAX_NAME_CHARACTERS} bytes)"
        )
    if len(set(event.subscribers)) < len(event.subscribers):
        raise DefinitionError(f"event {event.name!r} names a subscriber twice: {', '.join(event.subscribers)}")
    if event.receipts_queue in event.subscribers:
        raise DefinitionError(
            f"event {event.name!r}: {event.receipts_queue!r} is where its subscribers' receipts go; give the "
            "subscriber a queue of its own"
        )


def _mark(event: AnyEvent) -> None:
    """The class stands for one event: what is published, or handled, is told by its exact type."""
    first = vars(event.payload).get(_MARK)
    if first is not None and first != event:
        raise DefinitionError(
            f"{event.payload.__qualname__} is the payload of the event {first.name!r} ({first.place}) and of "
            f"{event.name!r} ({event.place}): which of the two would be published? Give each a class of its own"
        )
    setattr(event.payload, _MARK, event)


def event_of(payload: Any) -> AnyEvent:
    """The event that a class, or an instance of it, stands for. A subclass of it stands for none."""
    kind = payload if isinstance(payload, type) else type(payload)
    event: AnyEvent | None = vars(kind).get(_MARK)
    if event is None:
        raise DefinitionError(_what_is_wrong_with(payload, kind))
    return event


def _what_is_wrong_with(payload: Any, kind: type[Any]) -> str:
    if isinstance(payload, Event):
        name = payload.payload.__qualname__
        return f"this is how {payload.name!r} is declared, and is no event itself; hand in the class {name} instead"
    if isinstance(payload, Command):
        return f"{payload.name!r} is a command, and is no event"
    base = next((base for base in kind.__mro__ if _MARK in vars(base)), None)
    if base is not None:
        return (
            f"{kind.__qualname__} is no event, though its base {base.__qualname__} is: exactly the class counts. Hand "
            f"in {base.__qualname__}, or declare {kind.__qualname__} as an event of its own"
        )
    if not is_dataclass(kind):
        return f"{payload!r} is no event; events are dataclasses that an Event(..., payload=...) declares"
    return f"{kind.__qualname__} is no event; write `message = Event(..., payload={kind.__name__}, ...)` beside it"
