"""Whether handlers are written for what their commands declare; looked at once, at start, when every name is there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from types import NoneType
from typing import Any, get_origin

from sagas_framework.errors import ContradictoryMessages
from sagas_framework.vocabulary.annotations import allows, annotation_of, members_of
from sagas_framework.vocabulary.command import AnyCommand
from sagas_framework.vocabulary.usable import refuse_unusable

Handler = Callable[..., Any]


def refuse_disagreeing_handlers(handlers: Iterable[tuple[Handler, AnyCommand]], no_answer_yet: type[Any]) -> None:
    """Two functions for one command, or one whose annotations say something else than its command. `no_answer_yet`: the
    type that any of them may return."""
    first_of: dict[str, Handler] = {}
    for function, command in handlers:
        first = first_of.setdefault(command.name, function)
        if first is not function:
            raise ContradictoryMessages(
                f"the command {command.name!r} has two handlers, {place_of(first)} and {place_of(function)}: only one "
                "of them would be called. Drop one, or give it another command"
            )
        refuse_disagreement(function, next(iter(inspect.signature(function).parameters)), command, no_answer_yet)


def refuse_disagreement(function: Handler, payload: str, command: AnyCommand, no_answer_yet: type[Any]) -> None:
    """`payload`: the parameter that is given it."""
    _refuse_other_payload(function, payload, command)
    _refuse_other_response(function, command, no_answer_yet)


def _refuse_other_payload(function: Handler, parameter: str, command: AnyCommand) -> None:
    annotation = annotation_of(function, parameter)
    if is_dictionary(annotation):
        refuse_unusable(annotation, f"{parameter!r} of handler {place_of(function)}")
    elif not any(allows(member, command.payload) for member in members_of(annotation)):
        raise ContradictoryMessages(
            f"handler {place_of(function)} takes {_shown(annotation)}, but its command {command.name!r} "
            f"({command.place}) carries {_shown(command.payload)}: annotate {parameter!r} with that, or with dict"
        )


def _refuse_other_response(function: Handler, command: AnyCommand, no_answer_yet: type[Any]) -> None:
    response = command.response or NoneType
    for member in members_of(annotation_of(function, "return")):
        stands_for_it = response is not NoneType and is_dictionary(member)
        if not (member is no_answer_yet or stands_for_it or allows(member, response)):
            answered = "has no response" if response is NoneType else f"is answered with {_shown(response)}"
            raise ContradictoryMessages(
                f"handler {place_of(function)} returns {_shown(member)}, but its command {command.name!r} "
                f"({command.place}) {answered}: return what the command declares, or declare what is returned"
            )


def is_dictionary(annotation: Any) -> bool:
    """Whether it asks for the JSON object itself. What it says besides (`dict[str, int]`) is checked."""
    is_typed_dict = hasattr(annotation, "__required_keys__")  # typing's own, and that of typing_extensions
    return annotation is dict or get_origin(annotation) is dict or is_typed_dict


def place_of(function: Handler) -> str:
    code = inspect.unwrap(function).__code__
    return f"{function.__module__}.{function.__qualname__} ({code.co_filename}:{code.co_firstlineno})"


def _shown(annotation: Any) -> str:
    if annotation is NoneType:
        return "None"
    return f"{annotation.__module__}.{annotation.__qualname__}" if isinstance(annotation, type) else repr(annotation)
