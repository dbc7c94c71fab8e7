"""From a class to its description; what is wrong with it is said here, at start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType
from typing import Any, get_args, get_origin

from sagas_framework.definition.checks import MAX_NAME_CHARACTERS
from sagas_framework.definition.values import refuse_no_name
from sagas_framework.errors import DefinitionError
from sagas_framework.events.marks import bindings_of
from sagas_framework.process_managers import checks
from sagas_framework.process_managers.description import Applying, Description, Handling
from sagas_framework.process_managers.manager import EventSourcedProcessManager, ProcessManager, applied_by
from sagas_framework.vocabulary.command import AnyCommand, Command
from sagas_framework.vocabulary.event import AnyEvent, event_of
from sagas_framework.vocabulary.place import place_of_class


def process_managers_of(classes: Iterable[type[ProcessManager[Any]]]) -> list[Description]:
    """Those of one subscriber: by its name a class knows its sagas from another one's."""
    found: dict[str, Description] = {}
    for cls in classes:
        description = process_manager_of(cls)
        first = found.setdefault(description.name, description)
        if first is not description:
            raise DefinitionError(
                f"it is among the process managers twice ({_shown(first.manager)} and {_shown(cls)}), and each would "
                "take the other one's sagas for its own; drop one, or give it a `name` of its own",
                saga=description.name,
            )
    return [*found.values()]


def _shown(cls: type[Any]) -> str:
    return f"{cls.__qualname__}, {place_of_class(cls)}"


def process_manager_of(cls: type[ProcessManager[Any]]) -> Description:
    if not isinstance(cls, type) or not issubclass(cls, ProcessManager):
        raise DefinitionError(f"{cls!r} is no process manager; write `class MyProcess(ProcessManager[MyState])`")
    if cls in (ProcessManager, EventSourcedProcessManager):
        raise DefinitionError(f"{cls.__name__} is only what process managers are made from; hand in a subclass of it")
    _refuse_bad_class(cls)
    handlings = _handlings(cls)
    return Description(
        name=cls.name,
        manager=cls,
        state=_state_type(cls),
        handlings=handlings,
        key_names=frozenset(
            binding.saga_key for one in handlings.values() for binding in one.bindings if binding.saga_key is not None
        ),
        commands=_commands(cls),
        publishes=_published(cls),
        own_events=_own_events(cls),
        snapshot_every=_snapshot_every(cls),
    )


def _refuse_bad_class(cls: type[ProcessManager[Any]]) -> None:
    refuse_no_name("its name", cls.name, cls.__name__)
    if len(cls.name) > MAX_NAME_CHARACTERS:
        raise DefinitionError(f"its name is longer than {MAX_NAME_CHARACTERS} characters", saga=cls.name)
    if cls.__init__ is not ProcessManager.__init__:
        raise DefinitionError(
            "it has an __init__ of its own, and the framework makes an instance for each event: what is to last is a "
            "field of the state",
            saga=cls.name,
        )


def _state_type(cls: type[ProcessManager[Any]]) -> type[Any]:
    """The type that stands in the brackets of `ProcessManager[...]`, or of a generic class made of it."""
    for base in cls.__mro__:
        for parent in getattr(base, "__orig_bases__", ()):
            origin = get_origin(parent)
            if (
                isinstance(origin, type)
                and issubclass(origin, ProcessManager)
                and isinstance(get_args(parent)[0], type)
            ):
                state: type[Any] = get_args(parent)[0]
                checks.refuse_bad_state(cls.name, state)
                return state
    raise DefinitionError(
        "it does not say what its state is; write `class MyProcess(ProcessManager[MyState])` with a dataclass",
        saga=cls.name,
    )


# ---- its methods ----------------------------------------------------------------------------------------------------


def _handlings(cls: type[ProcessManager[Any]]) -> Mapping[str, Handling]:
    handlings: dict[str, Handling] = {}
    for name, function in _marked(cls, bindings_of):
        checks.refuse_bad_method(cls.name, name, function, "handles")
        checks.refuse_bad_bindings(cls.name, name, bindings_of(function))
        for event in dict.fromkeys(binding.event.payload for binding in bindings_of(function)):
            bindings = tuple(binding for binding in bindings_of(function) if binding.event.payload is event)
            handling = Handling(bindings[0].event, name, bindings)
            checks.refuse_other_annotation(cls.name, name, function, event)
            first = handlings.setdefault(handling.event.name, handling)
            if first is not handling:
                raise DefinitionError(
                    f"the methods {first.method!r} and {name!r} both handle {event.__name__}: only one of them would "
                    "be called. Let one method do it; several @handles may stand above it",
                    saga=cls.name,
                )
    checks.refuse_no_start(cls.name, handlings)
    return handlings


def _own_events(cls: type[ProcessManager[Any]]) -> Mapping[str, Applying]:
    own_events: dict[str, Applying] = {}
    for name, function in _marked(cls, applied_by):
        if not issubclass(cls, EventSourcedProcessManager):
            raise DefinitionError(
                f"method {name!r} has @applies, and the class is no EventSourcedProcessManager: nothing would call it",
                saga=cls.name,
            )
        checks.refuse_bad_method(cls.name, name, function, "applies")
        for event in applied_by(function):
            checks.refuse_bad_own_event(cls.name, name, event)
            checks.refuse_other_annotation(cls.name, name, function, event)
            first = own_events.setdefault(event.__name__, Applying(event, name))
            if first.event is not event:
                raise DefinitionError(
                    f"two of its own events are called {event.__name__} ({first.event.__module__}, method "
                    f"{first.method!r}, and {event.__module__}, method {name!r}): stored, they could not be told apart",
                    saga=cls.name,
                )
            if first.method != name or applied_by(function).count(event) > 1:
                raise DefinitionError(
                    f"{event.__name__} is applied twice, by {first.method!r} and {name!r}: one method says what it "
                    "does to the state",
                    saga=cls.name,
                )
    return own_events


def _marked(
    cls: type[ProcessManager[Any]], marks_of: Callable[[Any], tuple[Any, ...]]
) -> Iterator[tuple[str, FunctionType]]:
    """The methods that bear marks, inherited ones too; one that is overridden without a mark bears none."""
    methods = {name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()}
    for name, value in methods.items():
        if marks_of(value.__func__ if isinstance(value, (staticmethod, classmethod)) else value):
            yield name, value


# ---- what it says besides -------------------------------------------------------------------------------------------


def _commands(cls: type[ProcessManager[Any]]) -> Mapping[str, AnyCommand]:
    commands: dict[str, AnyCommand] = {}
    for command in checks.listed(cls.name, "commands", cls.commands):
        if not isinstance(command, Command):
            raise DefinitionError(f"`commands` holds {command!r}, which is no Command", saga=cls.name)
        if commands.setdefault(command.name, command) != command:
            raise DefinitionError(
                f"`commands` holds two commands that are called {command.name!r} ({commands[command.name].place} and "
                f"{command.place})",
                saga=cls.name,
            )
    return commands


def _published(cls: type[ProcessManager[Any]]) -> Mapping[str, AnyEvent]:
    published: dict[str, AnyEvent] = {}
    for event in checks.listed(cls.name, "publishes", cls.publishes):
        try:
            declared = event_of(event) if isinstance(event, type) else None
        except DefinitionError as error:
            raise DefinitionError(f"`publishes`: {error}", saga=cls.name) from None
        if declared is None:
            raise DefinitionError(f"`publishes` holds {event!r}; it takes the classes of events", saga=cls.name)
        published[declared.name] = declared
    return published


def _snapshot_every(cls: type[ProcessManager[Any]]) -> int | None:
    if not issubclass(cls, EventSourcedProcessManager):
        return None
    every: Any = cls.snapshot_every
    if not isinstance(every, int) or isinstance(every, bool) or every < 1:
        raise DefinitionError(f"its snapshot_every must be a whole number from 1, not {every!r}", saga=cls.name)
    return every
