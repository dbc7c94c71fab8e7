"""What annotations say that are written as strings, as far as it can be told now."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints


def annotation_in(annotation: Any, names: Mapping[str, Any]) -> Any:
    """What an annotation is where these names are known; Any, which says nothing, where what it names cannot be looked
    up: it is imported for type checkers only, or stands in a function. Each by itself: the others are still good."""

    def bearer() -> None: ...

    bearer.__annotations__ = {"it": annotation}
    try:
        return get_type_hints(bearer, dict(names), include_extras=True)["it"]
    except (NameError, TypeError, AttributeError, SyntaxError):
        return Any


def annotation_of(function: Callable[..., Any], parameter: str) -> Any:
    """Any, where there is none or it cannot be told."""
    function = inspect.unwrap(function)
    return annotation_in(getattr(function, "__annotations__", {}).get(parameter, Any), function.__globals__)


def members_of(annotation: Any) -> list[Any]:
    """Of a union all, else itself; without what is only said about it."""
    if get_origin(annotation) in (Union, UnionType):
        return [member for part in get_args(annotation) for member in members_of(part)]
    if get_origin(annotation) is Annotated:
        return members_of(get_args(annotation)[0])
    return members_of(annotation.__supertype__) if hasattr(annotation, "__supertype__") else [annotation]


def allows(annotation: Any, contract: type[Any]) -> bool:
    """Whether every value of the contract is one of the annotation's; what is no class says nothing we can tell."""
    kind = get_origin(annotation) or annotation
    try:
        return annotation is Any or not isinstance(kind, type) or issubclass(contract, kind)
    except TypeError:  # a protocol
        return True
