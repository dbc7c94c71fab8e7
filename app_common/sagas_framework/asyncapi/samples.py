"""A value for every schema, so that each message has an example. What a class says itself (`examples`) goes first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagas_framework.asyncapi.document import Schema, referred

_MAX_DEPTH = 12
_TEXTS = {
    "uuid": "7d444840-9dc0-41d1-b245-5ffdce74fad2",
    "date-time": "2026-01-31T12:30:00Z",
    "date": "2026-01-31",
    "time": "12:30:00",
    "duration": "PT90S",
    "email": "ada@example.com",
    "uri": "https://example.com/",
}


class Samples:
    def __init__(self, components: Mapping[str, Schema]) -> None:
        self._components = components

    def of(self, schema: Schema, name: str = "text", depth: int = 0) -> Any:
        """A plausible value; it is for the caller to see that it is a valid one."""
        for key in ("examples", "enum"):
            if schema.get(key):
                return schema[key][0]
        if "const" in schema:
            return schema["const"]
        if "$ref" in schema:
            return self.of(self._components[referred(schema)], name, depth + 1)
        for key in ("allOf", "oneOf", "anyOf"):
            if key in schema:
                return self._one_of(schema[key], name, depth)
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        return _scalar(kind, schema, name)

    def _one_of(self, branches: list[Schema], name: str, depth: int) -> Any:
        """The first, except where a value within itself would never end."""
        if depth <= _MAX_DEPTH:
            return self.of(branches[0], name, depth + 1)
        nested = ("array", "object")
        flat = [branch for branch in branches if branch.get("type") not in nested and "$ref" not in branch]
        return self.of((flat or branches)[-1], name, depth + 1)

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        fields: Mapping[str, Schema] = schema.get("properties", {})
        wanted = set(schema.get("required", ())) if depth > _MAX_DEPTH else set(fields)
        found = {field: self.of(fields[field], field, depth + 1) for field in fields if field in wanted}
        rest = schema.get("additionalProperties")
        if not fields and isinstance(rest, dict) and depth <= _MAX_DEPTH:
            key = self.of(schema["propertyNames"], "key", depth + 1) if "propertyNames" in schema else "key"
            return {str(key): self.of(rest, "value", depth + 1)}
        return found

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        items = schema.get("items", {})
        if isinstance(items, list):
            return [self.of(item, name, depth + 1) for item in items]
        least = int(schema.get("minItems", 0))
        wanted = least if depth > _MAX_DEPTH else max(least, min(1, int(schema.get("maxItems", 1))))
        return [self.of(items, name.removesuffix("s"), depth + 1) for _ in range(wanted)]


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
    else:
        value = 42 if most is None else most - step
    if whole or "multipleOf" in schema:
        value = value // step * step
    return int(value) if whole else value


def _text(schema: Schema, name: str) -> str:
    text = _TEXTS.get(schema.get("format", ""), name)
    if "pattern" in schema and "format" not in schema:
        text = "12.50"  # what pydantic writes for a Decimal is the only pattern that nobody wrote down themselves
    text = text.ljust(int(schema.get("minLength", 0)), "x")
    return text[: int(schema.get("maxLength", len(text)))]
