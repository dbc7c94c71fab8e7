"""What a process manager must not be: each refusal names the class, the method and the property."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from types import FunctionType, NoneType
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

from sagas_framework.definition.checks import MAX_NAME_CHARACTERS
from sagas_framework.errors import DefinitionError, in_one_line
from sagas_framework.events.marks import Binding, Starts
from sagas_framework.process_managers.description import Handling
from sagas_framework.vocabulary.annotations import allows, annotation_in, annotation_of, members_of
from sagas_framework.vocabulary.usable import refuse_unusable


def refuse_bad_state(name: str, state: type[Any]) -> None:
    if not is_dataclass(state):
        raise DefinitionError(f"its state must be a dataclass, not {state!r}", saga=name)
    bare = [one.name for one in fields(state) if one.init and one.default is one.default_factory is MISSING]
    if bare:
        raise DefinitionError(
            f"its state {state.__name__} begins as {state.__name__}(), and has no default for "
            f"{', '.join(map(repr, bare))}",
            saga=name,
        )
    try:
        state()
    except Exception as error:  # the application's own code
        raise DefinitionError(
            f"its state {state.__name__}() cannot be made: {in_one_line(error)}", saga=name
        ) from error
    refuse_unusable(state, f"state of {name}")


# ---- methods --------------------------------------------------------------------------------------------------------


def refuse_bad_method(name: str, method: str, function: Any, mark: str) -> None:
    if not isinstance(function, FunctionType):
        raise DefinitionError(
            f"{method!r} has @{mark} and is no plain method, but a {type(function).__name__}", saga=name
        )
    if len(method) > MAX_NAME_CHARACTERS:
        raise DefinitionError(f"method {method!r}: longer than {MAX_NAME_CHARACTERS} characters", saga=name)
    for is_kind in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
        if is_kind(function):
            raise DefinitionError(f"method {method!r} is async, or has a yield: calling it would do nothing", saga=name)
    signature = inspect.signature(function, follow_wrapped=False)
    try:
        signature.bind(None, None)
    except TypeError as error:
        problem = f"method {method!r}{signature} is called with (self, event): {error}"
        raise DefinitionError(problem, saga=name) from None


def refuse_other_annotation(name: str, method: str, function: FunctionType, event: type[Any]) -> None:
    _, parameter, *_ = [*inspect.signature(function).parameters, "", ""]
    annotation = annotation_of(function, parameter)
    if not any(allows(member, event) for member in members_of(annotation)):
        shown = annotation.__qualname__ if isinstance(annotation, type) else repr(annotation)
        raise DefinitionError(
            f"method {method!r} is for {event.__name__}, and says that its {parameter!r} is {shown}: annotate it with "
            f"{event.__name__}",
            saga=name,
        )


def refuse_no_start(name: str, handlings: Mapping[str, Handling]) -> None:
    if not handlings:
        raise DefinitionError("no method of it has @handles(EventType): it would never do anything", saga=name)
    if all(binding.starts == "never" for one in handlings.values() for binding in one.bindings):
        raise DefinitionError(
            'no event ever starts one: give one of its bindings starts="always" or starts="if_none"', saga=name
        )


# ---- bindings -------------------------------------------------------------------------------------------------------


def refuse_bad_bindings(name: str, method: str, bindings: Sequence[Binding]) -> None:
    seen = set()
    for binding in bindings:
        what = f"method {method!r}, {_shown(binding)} ({binding.place})"
        problem = _problem_of(binding)
        if problem is not None:
            raise DefinitionError(f"{what}: {problem}", saga=name)
        said = (binding.event.name, binding.starts, binding.saga_key, binding.event_key)
        if said in seen:
            raise DefinitionError(f"{what}: the same stands above it twice", saga=name)
        seen.add(said)


def _problem_of(binding: Binding) -> str | None:
    event = binding.event.payload.__name__
    if binding.starts not in get_args(Starts):
        return f"starts is one of {', '.join(map(repr, get_args(Starts)))}"
    if binding.saga_key is None and binding.event_key is None:
        return None
    if binding.starts == "always":
        return "what always starts a new saga looks for none, so that its key says nothing; drop it, or stack another"
    if binding.event_key is None:
        return f"the saga key {binding.saga_key!r} is compared with nothing; say which field of {event}: event_key=..."
    if binding.saga_key is None:
        return f"{event}.{binding.event_key} is compared with nothing; say with which key of the saga: saga_key=..."
    if not isinstance(binding.saga_key, str) or not 0 < len(binding.saga_key) <= MAX_NAME_CHARACTERS:
        return f"a saga_key is a name of 1 to {MAX_NAME_CHARACTERS} characters"
    known = {one.name: one for one in fields(binding.event.payload)}
    if binding.event_key not in known:
        return f"{event} has no field {binding.event_key!r}; it has {', '.join(map(repr, known))}"
    if not _can_be_a_key(binding.event.payload, known[binding.event_key]):
        declared = known[binding.event_key].type
        shown = declared.__qualname__ if isinstance(declared, type) else declared
        return f"{event}.{binding.event_key} is {shown}; a key is a str, an int or a UUID (or None: then it finds none)"
    return None


def _can_be_a_key(payload: type[Any], field: Field[Any]) -> bool:
    declared_in = next(
        (base for base in payload.__mro__ if field.name in vars(base).get("__annotations__", {})), payload
    )
    annotation = annotation_in(field.type, vars(sys.modules[declared_in.__module__]))
    members = [member for member in members_of(annotation) if member is not NoneType]
    return bool(members) and all(_is_kind_of_key(member) for member in members)


def _is_kind_of_key(member: Any) -> bool:
    if get_origin(member) is Literal:
        return all(value is None or _is_kind_of_key(type(value)) for value in get_args(member))
    # Any: it is a name that cannot be looked up now, and is not told from what says nothing.
    return member is Any or (isinstance(member, type) and issubclass(member, (str, int, UUID)) and member is not bool)


def _shown(binding: Binding) -> str:
    said = [binding.event.payload.__name__]
    said += [f"starts={binding.starts!r}"] if binding.starts != "never" else []
    said += [f"{name}={getattr(binding, name)!r}" for name in ("saga_key", "event_key") if getattr(binding, name)]
    return f"@handles({', '.join(said)})"


# ---- what it records, sends and publishes ---------------------------------------------------------------------------


def refuse_bad_own_event(name: str, method: str, event: Any) -> None:
    if not isinstance(event, type) or not is_dataclass(event):
        raise DefinitionError(f"method {method!r}: @applies takes a dataclass, not {event!r}", saga=name)
    refuse_unusable(event, f"saga {name!r}, method {method!r}: own event {event.__name__}")


def listed(name: str, attribute: str, values: Any) -> Sequence[Any]:
    if not isinstance(values, (list, tuple)):
        raise DefinitionError(f"its `{attribute}` must be a tuple or a list, not {values!r}", saga=name)
    return values
