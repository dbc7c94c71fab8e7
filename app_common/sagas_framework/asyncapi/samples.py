"""A value for every schema, so that each message has an example. What a class says itself (`examples`) goes first."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from sagas_framework.asyncapi.document import Schema
from sagas_framework.asyncapi.references import last_part

_TEXTS = {
    "uuid": "7d444840-9dc0-41d1-b245-5ffdce74fad2",
    "date-time": "2026-01-31T12:30:00Z",
    "date": "2026-01-31",
    "time": "12:30:00",
    "duration": "PT90S",
    "email": "ada@example.com",
    "uri": "https://example.com/",
}


class Endless(ValueError):
    """A value of this schema holds another one of it, which holds another."""


class Samples:
    def __init__(self, components: Mapping[str, Schema]) -> None:
        self._components = components

    def of(self, schema: Schema, name: str = "text", within: frozenset[str] = frozenset()) -> Any:
        """A plausible value; it is for the caller to see that it is a valid one.

        `within` are the components that it is part of. None is put into itself: where a value can do without, it does.
        """
        for key in ("examples", "enum"):
            if schema.get(key):
                return schema[key][0]
        if "const" in schema:
            return schema["const"]
        if "$ref" in schema:
            return self._component(last_part(schema), name, within)
        for key in ("allOf", "oneOf", "anyOf"):
            if key in schema:
                return self._one_of(schema[key], name, within)
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema, within)
        if kind == "array":
            return self._array(schema, name, within)
        return _scalar(kind, schema, name)

    def _component(self, key: str, name: str, within: frozenset[str]) -> Any:
        if key in within:
            raise Endless(f"a value of {key} never ends")
        return self.of(self._components[key], name, within | {key})

    def _one_of(self, branches: list[Schema], name: str, within: frozenset[str]) -> Any:
        for branch in branches[:-1]:
            with contextlib.suppress(Endless):
                return self.of(branch, name, within)
        return self.of(branches[-1], name, within)

    def _object(self, schema: Schema, within: frozenset[str]) -> dict[str, Any]:
        found = {}
        for field, of_field in schema.get("properties", {}).items():
            try:
                found[field] = self.of(of_field, field, within)
            except Endless:
                if field in schema.get("required", ()):
                    raise
        rest = schema.get("additionalProperties")
        if not found and isinstance(rest, dict):
            with contextlib.suppress(Endless):
                key = self.of(schema.get("propertyNames", {"const": "key"}), "key", within)
                return {str(key): self.of(rest, "value", within)}
        return found

    def _array(self, schema: Schema, name: str, within: frozenset[str]) -> list[Any]:
        items = schema.get("items", {})
        if isinstance(items, list):
            return [self.of(item, name, within) for item in items]
        least = int(schema.get("minItems", 0))
        wanted = max(least, min(1, int(schema.get("maxItems", 1))))
        try:
            return [self.of(items, name.removesuffix("s"), within) for _ in range(wanted)]
        except Endless:
            if least:
                raise
            return []


def _scalar(kind: Any, schema: Schema, name: str) -> Any:
    if kind in ("integer", "number"):
        return _number(schema, whole=kind == "integer")
    if kind == "boolean":
        return True
    if kind == "string":
        return _text(schema, name)
    return None if kind == "null" else {}


def _number(schema: Schema, *, whole: bool) -> Any:
    step = schema.get("multipleOf", 1)
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    most = schema.get("maximum", schema.get("exclusiveMaximum"))
    if least is not None and most is not None:
        value = (least + most) / 2
    elif least is not None:
        value = least + step
    elif most is not None:
        value = most - step
    else:
        value = schema.get("multipleOf", 42)
    if whole or "multipleOf" in schema:
        value = value // step * step
    return int(value) if whole else value


def _text(schema: Schema, name: str) -> str:
    text = _TEXTS.get(schema.get("format", ""), name)
    if "pattern" in schema and "format" not in schema:
        text = "12.50"  # what pydantic writes for a Decimal is the only pattern that nobody wrote down themselves
    text = text.ljust(int(schema.get("minLength", 0)), "x")
    return text[: int(schema.get("maxLength", len(text)))]
