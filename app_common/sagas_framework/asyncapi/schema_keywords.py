"""The keywords of a schema that are compared one by one, each without a look at the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from fractions import Fraction
from typing import Any

from sagas_framework.asyncapi.json_values import canonical
from sagas_framework.asyncapi.schema_forms import INTEGRAL


class Effect(Enum):
    """What a change does to the values that are allowed."""

    NARROWER = auto()
    WIDER = auto()
    REPLACED = auto()  # other values than before
    UNCLEAR = auto()
    NEW_FIELD = auto()
    NEW_REQUIRED = auto()
    NOW_REQUIRED = auto()
    NOW_OPTIONAL = auto()
    REMOVED = auto()
    OTHER_DEFAULT = auto()


@dataclass(frozen=True)
class Change:
    """`path`: the steps from the top of the value, as they are written: `.items`, `[]`, `[0]`, `.*`."""

    effect: Effect
    what: str
    path: tuple[str, ...] = ()


_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_YES_OR_NO = ("pattern", "format", "uniqueItems")


def listed(texts: Iterable[str]) -> str:
    return ", ".join(sorted(texts))


def _bound(keyword: str, before: Any, after: Any) -> list[Change]:
    if before is None:
        return [Change(Effect.NARROWER, f"has a {keyword} of {after} now")]
    if after is None:
        return [Change(Effect.WIDER, f"has no {keyword} of {before} any more")]
    narrower = after < before if keyword in _UPPER else after > before
    return [Change(Effect.NARROWER if narrower else Effect.WIDER, f"has {keyword} {after}; it was {before}")]


def _enum(keyword: str, before: frozenset[str] | None, after: frozenset[str] | None) -> list[Change]:
    if before is None:
        return [Change(Effect.NARROWER, f"is only {listed(after or ())} now")]
    if after is None:
        return [Change(Effect.WIDER, f"may now be something else than {listed(before)}")]
    gone, come = before - after, after - before
    lost = [Change(Effect.NARROWER, f"is no longer {listed(gone)}")] if gone else []
    return lost + ([Change(Effect.WIDER, f"may now be {listed(come)}")] if come else [])


def _whole(keyword: str, before: bool | None, after: bool | None) -> list[Change]:
    if after:
        return [Change(Effect.NARROWER, "was any number and is an integer now")]
    return [Change(Effect.WIDER, "was an integer and is any number now")]


def _multiple(keyword: str, before: Any, after: Any) -> list[Change]:
    if before is not None and after is not None:
        ratio = Fraction(str(after)) / Fraction(str(before))
        effect = {(True, False): Effect.NARROWER, (False, True): Effect.WIDER}.get(
            (ratio.denominator == 1, ratio.numerator == 1), Effect.REPLACED
        )
        return [Change(effect, f"is a multiple of {after}; it was one of {before}")]
    return _yes_or_no(keyword, before, after)


def _yes_or_no(keyword: str, before: Any, after: Any) -> list[Change]:
    if before is None:
        return [Change(Effect.NARROWER, f"has {keyword} {canonical(after)} now")]
    if after is None:
        return [Change(Effect.WIDER, f"has no {keyword} {canonical(before)} any more")]
    return [Change(Effect.UNCLEAR, f"has {keyword} {canonical(after)}; it was {canonical(before)}")]


COMPARED_ALONE = {
    **dict.fromkeys((*_UPPER, *_LOWER), _bound),
    **dict.fromkeys(_YES_OR_NO, _yes_or_no),
    "enum": _enum,
    INTEGRAL: _whole,
    "multipleOf": _multiple,
}
