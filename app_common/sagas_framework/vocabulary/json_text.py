"""JSON as text, strictly and fast: pydantic's reader and writer take a third of the standard library's time."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json, to_json


def dumps(value: Any) -> str:
    """The text of a JSON value. Raises ValueError for what UTF-8 cannot hold."""
    return to_json(value).decode()


def loads(text: str | bytes) -> Any:
    """The value of a text. ValueError: it is no JSON, or holds infinities, a lone surrogate, nesting without end."""
    return from_json(text, allow_inf_nan=False)
