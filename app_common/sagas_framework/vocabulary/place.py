"""Where something was declared, for errors to point at."""

from __future__ import annotations

import inspect
import sys
from typing import Any

_WITHIN = ("sagas_framework", "dataclasses", "typing")


def place_of_caller() -> str:
    """The line outside the framework, and outside what makes dataclasses and generic classes, that is running."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in _WITHIN:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def place_of_class(cls: type[Any]) -> str:
    try:
        return f"{inspect.getsourcefile(cls)}:{inspect.getsourcelines(cls)[1]}"
    except (OSError, TypeError):  # made at run time: there is no source
        return cls.__module__
