"""JSON Schema of what a message declares, as exact as it can be: for documents, and to tell two declarations apart.

It is pydantic's, but for two kinds of text on which pydantic says less, or something else, than it reads and writes:

- a decimal travels as a number or as its text, and the text has a pattern. What no schema can say of it (its bounds;
  the digits of a number, or of a text with an exponent) is told in a description.
- a datetime may come without an offset from UTC, which `format: date-time` would forbid: so it has a pattern that
  allows both, and the format is for those alone that must have an offset (pydantic's AwareDatetime). A reader takes
  more than the pattern, seconds since 1970 for one ("1767225600"); nobody who keeps to the schema sends that.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
_OFFSET = r"(Z|[+-][0-9]{2}:[0-9]{2})"
_LIMITS = {
    "ge": "at least {}",
    "gt": "more than {}",
    "le": "at most {}",
    "lt": "less than {}",
    "multiple_of": "a multiple of {}",
    "max_digits": "at most {} digits",
    "decimal_places": "at most {} decimal places",
}


class ExactJsonSchema(GenerateJsonSchema):
    def get_decimal_pattern(self, schema: core_schema.DecimalSchema) -> str:
        return self.build_decimal_pattern(schema)

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        found = super().decimal_schema(schema)
        limits = [words.format(schema[key]) for key, words in _LIMITS.items() if key in schema]  # type: ignore[literal-required]
        described = {"description": f"A decimal number: {', '.join(limits)}."} if limits else {}
        number, text = found["anyOf"]
        return {"anyOf": [number | _size_of(schema, number) | described, text | described]}

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        constraint = schema.get("tz_constraint")
        if constraint not in (None, "naive"):  # it must have an offset
            return super().datetime_schema(schema)
        offset, example = (_OFFSET + "?", "Z") if constraint is None else ("", "")
        return {"type": "string", "pattern": f"^{_MOMENT}{offset}$", "examples": [f"2026-01-31T12:30:00{example}"]}


def _size_of(schema: core_schema.DecimalSchema, number: dict[str, Any]) -> dict[str, Any]:
    """Between which numbers those are that do not have too many digits."""
    if "max_digits" not in schema:
        return {}
    most = 10 ** (schema["max_digits"] - schema.get("decimal_places", 0))
    return {
        "exclusiveMinimum": max(-most, number.get("exclusiveMinimum", -most)),
        "exclusiveMaximum": min(most, number.get("exclusiveMaximum", most)),
    }
