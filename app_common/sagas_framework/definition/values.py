"""What is said of steps and sagas in single values: functions that can be called, times that can be waited."""

from __future__ import annotations

import inspect
import math
from typing import Any
from unicodedata import category

from sagas_framework.errors import DefinitionError

_UNSEEN = ("Cc", "Cs")  # control characters, and halves of surrogate pairs
MAX_SECONDS = 100 * 365 * 86_400.0


def refuse_no_function(what: str, value: Any, arguments: int, step: str | None = None) -> None:
    """`arguments`: how many it is called with."""
    if not callable(value) or inspect.isclass(value):
        raise DefinitionError(f"{what} must be a function, not {value!r}", step=step)
    called = getattr(value, "__name__", repr(value))
    if inspect.iscoroutinefunction(value):
        raise DefinitionError(f"{what} {called} is a coroutine function, and nobody would await it", step=step)
    try:
        signature = inspect.signature(value, follow_wrapped=False)
    except (TypeError, ValueError):  # some that are written in C do not say
        return
    try:
        signature.bind(*[None] * arguments)
    except TypeError as error:
        problem = f"{what} {called}{signature} is called with {arguments} arguments: {error}"
        raise DefinitionError(problem, step=step) from error


def refuse_no_name(what: str, value: Any, saga: str) -> None:
    """Names are stored, travel in headers and are read by people."""
    if not isinstance(value, str) or not value.strip() or any(category(sign) in _UNSEEN for sign in value):
        raise DefinitionError(f"{what} must be a line of text, not {value!r}", saga=saga)


def refuse_no_seconds(what: str, value: Any, step: str | None = None, *, saga: str | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MAX_SECONDS:
        problem = f"{what} must be a positive number of seconds, at most a hundred years, not {value!r}"
        raise DefinitionError(problem, saga=saga, step=step)


def is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
