"""Values of JSON as they are compared: what kind each is, and a text that is equal for equal values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def canonical(value: Any) -> str:
    """A value as JSON has it, equal for equal values: 1.0 and 1 are the same there, and fields have no order."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, default=_in_order)


def kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "array" if isinstance(value, list) else "object" if isinstance(value, Mapping) else "string"


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {str(key): _plain(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _in_order(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else str(value)
