"""A JSON Schema as a line of text: `list of OrderItem`, `text (uuid) or null`; names of schemas lead to them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sagas_framework.asyncapi.references import steps_of

SCHEMAS = "#/components/schemas/"
# Told by the words themselves, by the table of fields, or beside them.
_TOLD = frozenset(
    "$ref type format title description properties required items anyOf oneOf allOf const enum examples".split()
)
_TOLD_OF_A_TUPLE = _TOLD | {"minItems", "maxItems", "additionalItems"}


@dataclass(frozen=True)
class Word:
    text: str
    anchor: str | None = None
    """The schema's place on the page."""


def schema_anchor(name: str) -> str:
    return f"schema-{name}"


def as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def words_for(schema: object) -> list[Word]:
    """What a value of this schema is. Goes no further than the names of other schemas."""
    if not isinstance(schema, Mapping):
        return [Word("nothing" if schema is False else "anything")]
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return [_named(reference)]
    for key, between in (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")):
        if isinstance(schema.get(key), list):
            return _joined(schema[key], between)
    if "const" in schema:
        return [Word(_short(schema["const"]))]
    if isinstance(schema.get("enum"), list):
        return [Word(" or ".join(map(_short, schema["enum"])))]
    return _of_type(schema)


def limits_of(schema: object) -> str:
    """Whatever else the schema demands: `minimum 1, maxLength 200`."""
    if not isinstance(schema, Mapping):
        return ""
    told = _TOLD_OF_A_TUPLE if _is_closed_tuple(schema) else _TOLD
    return ", ".join(f"{key} {_short(value)}" for key, value in schema.items() if key not in told)


def _is_closed_tuple(schema: Mapping[str, Any]) -> bool:
    items = schema.get("items")
    return isinstance(items, list) and schema.get("minItems") == schema.get("maxItems") == len(items)


def _named(reference: str) -> Word:
    if reference.startswith(SCHEMAS):
        _, _, name, *inside = steps_of(reference)
        if not inside:
            return Word(name, schema_anchor(name))
    return Word(reference)


def _of_type(schema: Mapping[str, Any]) -> list[Word]:
    items = schema.get("items")
    if isinstance(items, list):  # the elements of a tuple, each with a schema of its own
        return [Word("["), *_joined(items, ", "), Word("]")]
    if isinstance(items, Mapping):
        return [Word("list of "), *_bracketed(items)]
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping) and "properties" not in schema:
        return [Word("object of "), *_bracketed(values)]
    type_ = schema.get("type", "anything")
    text = " or ".join(map(str, type_)) if isinstance(type_, list) else str(type_)
    return [Word(f"{text} ({schema['format']})" if "format" in schema else text)]


def _joined(schemas: Iterable[object], between: str) -> list[Word]:
    words: list[Word] = []
    for schema in schemas:
        words += [Word(between), *words_for(schema)] if words else words_for(schema)
    return words


def _bracketed(schema: Mapping[str, Any]) -> list[Word]:
    words = words_for(schema)
    return [Word("("), *words, Word(")")] if len(words) > 1 and not isinstance(schema.get("items"), list) else words


def _short(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
