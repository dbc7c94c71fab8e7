"""What changed between two schemas, whoever reads or writes the values; `diff` says whom that breaks.

Two schemas are compared as sets of values: what the new one no longer allows makes it narrower, what it allows in
addition makes it wider. How they say it does not matter: names of components, order, a union written as a list of
types. Where it cannot be told, the change is unclear, never harmless.

One thing is not in the schemas: senders send the fields that they know and no others, and who receives ignores the
fields that he does not know. So a new field does not change what the old ones mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sagas_framework.asyncapi.json_values import canonical
from sagas_framework.asyncapi.schema_forms import (
    FIELDS,
    INTEGRAL,
    ITEMS,
    KINDS,
    TITLE,
    Alternative,
    Form,
    Forms,
)
from sagas_framework.asyncapi.schema_keywords import COMPARED_ALONE, Change, Effect, listed

# What may make a value of the old schema one that the new schema refuses, and the other way round.
_LOSING = (Effect.NARROWER, Effect.REPLACED, Effect.UNCLEAR, Effect.NEW_REQUIRED, Effect.NOW_REQUIRED, Effect.REMOVED)
_GAINING = (Effect.WIDER, Effect.REPLACED, Effect.UNCLEAR, Effect.NOW_OPTIONAL, Effect.REMOVED)


class Comparison:
    """Compares schemas of an old document with schemas of a new one."""

    def __init__(self, old: Any, new: Any) -> None:
        self._old = Forms(old)
        self._new = Forms(new)
        # Kept with the schemas themselves, so that no other schema gets the identity of one that is gone.
        self._known: dict[tuple[int, int], tuple[Any, Any, list[Change]]] = {}
        self._open: set[tuple[int, int]] = set()
        self._assumed: set[tuple[int, int]] = set()

    def changes(self, old: Any, new: Any) -> list[Change]:
        """Of a recursive schema what is already being compared is taken as unchanged: if it is not, that is told there.

        What was found under such an assumption is not kept for the other places where the same pair stands.
        """
        old, new = self._old.resolved(old), self._new.resolved(new)
        pair = (id(old), id(new))
        if pair in self._known:
            return self._known[pair][2]
        if pair in self._open:
            self._assumed.add(pair)
            return []
        outside, self._assumed = self._assumed, set()
        self._open.add(pair)
        found = self._compared(self._old.of(old), self._new.of(new))
        self._open.remove(pair)
        self._assumed.discard(pair)
        if not self._assumed:
            self._known[pair] = (old, new, found)
        self._assumed |= outside
        return found

    def same(self, old: Any, new: Any) -> bool:
        """Whether two values say the same, apart from texts, order and what references are called."""
        return canonical(self._old.expanded(old)) == canonical(self._new.expanded(new))

    def _compared(self, before: Form, after: Form) -> list[Change]:
        found = list(_kinds(before, after))
        for kind in KINDS:
            if kind in before and kind in after:
                found += self._union(before[kind], after[kind])
        return found

    def _union(self, before: list[Alternative], after: list[Alternative]) -> list[Change]:
        if len(before) == len(after) == 1:
            return self._alternative(before[0], after[0])
        gone, come = list(before), list(after)
        for old in before:
            same = next((new for new in come if not self._alternative(old, new)), None)
            if same is not None:
                gone.remove(old)
                come.remove(same)
        found = []
        for old, new in self._counterparts(gone, come):
            found += self._alternative(old, new)
            gone.remove(old)
            come.remove(new)
        for old in gone:
            if not any(self._without(_LOSING, old, new) for new in after):
                found.append(Change(Effect.NARROWER, f"is no longer {self._name(self._old, old)}"))
        for new in come:
            if not any(self._without(_GAINING, old, new) for old in before):
                found.append(Change(Effect.WIDER, f"may now be {self._name(self._new, new)}"))
        return found

    def _counterparts(self, gone: list[Alternative], come: list[Alternative]) -> list[tuple[Alternative, Alternative]]:
        """The members of a union that are the same thing, changed: they have the same tag, or the same title."""
        if len(gone) == len(come) == 1:
            return [(gone[0], come[0])]
        named = {self._name(self._new, new): new for new in come}
        return [(old, named.pop(name)) for old in gone if (name := self._name(self._old, old)) in named]

    def _without(self, effects: tuple[Effect, ...], old: Alternative, new: Alternative) -> bool:
        return not any(change.effect in effects for change in self._alternative(old, new))

    @staticmethod
    def _name(forms: Forms, alternative: Alternative) -> str:
        tags = forms.tags(alternative)
        if tags:
            return ", ".join(f"{name} {listed(values)}" for name, values in sorted(tags.items()))
        if "enum" in alternative:
            return listed(alternative["enum"])
        plain = {key: value for key, value in alternative.items() if key != TITLE and isinstance(value, (int, str))}
        return str(alternative.get(TITLE) or (canonical(plain) if plain else "a variant without a title"))

    def _alternative(self, old: Alternative, new: Alternative) -> list[Change]:
        if old is new:
            return []
        found: list[Change] = []
        for keyword in sorted((old.keys() | new.keys()) - {TITLE, *ITEMS, *FIELDS}):
            before, after = old.get(keyword), new.get(keyword)
            if keyword in COMPARED_ALONE:
                if before != after:
                    found += COMPARED_ALONE[keyword](keyword, before, after)
            elif (keyword in old) != (keyword in new) or not self.same({keyword: before}, {keyword: after}):
                found.append(Change(Effect.UNCLEAR, f"has another {keyword}"))
        if any(key in side for side in (old, new) for key in ITEMS):
            found += self._items(_Places(old), _Places(new))
        if any(key in side for side in (old, new) for key in FIELDS):
            found += self._fields(_Fields(old), _Fields(new))
        return found

    def _items(self, old: _Places, new: _Places) -> list[Change]:
        found: list[Change] = []
        for index in range(max(len(old.first), len(new.first))):
            found += _below(f"[{index}]", self.changes(old.at(index), new.at(index)))
        return found + _below("[]", self.changes(old.rest, new.rest))

    def _fields(self, old: _Fields, new: _Fields) -> list[Change]:
        found: list[Change] = []
        for name in sorted(old.named.keys() | new.named.keys()):
            step = f".{name}"
            if name not in new.named:
                found.append(Change(Effect.REMOVED, "the field is removed", (step,)))
            elif name in old.named:
                found += _below(step, [*_field(name, old, new), *self.changes(old.named[name], new.named[name])])
            else:
                found += _below(step, self._added(name, old, new))
        return found + self._others(old, new)

    def _added(self, name: str, old: _Fields, new: _Fields) -> Iterable[Change]:
        required = name in new.required
        if required:
            yield Change(Effect.NEW_REQUIRED, "is a new required field")
        if old.by_pattern:
            yield Change(Effect.UNCLEAR, "is a new field beside fields that have patterns for names")
        elif old.others is False:
            yield Change(Effect.WIDER, "is a new field, where it was promised that there are no others")
        elif old.others is not None:  # it was one of any name, with a schema that held for all of them
            yield from self.changes(old.others, new.named[name])
        if not required:
            yield Change(Effect.NEW_FIELD, "is a new optional field")

    def _others(self, old: _Fields, new: _Fields) -> list[Change]:
        """The fields that are not named."""
        before, after = old.others, new.others
        if before is not None and after is not None:
            return _below(".*", self.changes(before, after))
        if before is None and after is None:
            return []
        if after is None:
            effect, what = (Effect.WIDER, "no longer promises that there are no other fields")
            if before is not False:
                effect, what = (Effect.NARROWER, "no longer takes fields of any name")
        elif after is False:
            effect, what = (Effect.NARROWER, "no longer tolerates unknown fields")
        elif after is True:
            effect, what = (Effect.WIDER, "takes fields of any name now")
        else:
            effect, what = (Effect.UNCLEAR, "has a schema for fields of any name now")
        return [Change(effect, what)]


class _Places:
    """The items of an array: those that have a place of their own, and all others."""

    def __init__(self, array: Alternative) -> None:
        items = array.get("items", True)
        self.first: list[Any] = array.get("prefixItems", items if isinstance(items, list) else [])
        rest = array.get("additionalItems", True) if isinstance(items, list) else items
        self.rest: Any = rest

    def at(self, index: int) -> Any:
        return self.first[index] if index < len(self.first) else self.rest


class _Fields:
    """The fields of an object. `others`: the schema of all that are not named; None: they are ignored, and not sent.

    An object that names no fields at all is one that takes any.
    """

    def __init__(self, object_: Alternative) -> None:
        self.required = frozenset(object_.get("required", ()))
        self.by_pattern = "patternProperties" in object_
        self.others: Any = object_.get("additionalProperties", None if "properties" in object_ else True)
        unnamed = True if self.others is None else self.others
        self.named: dict[str, Any] = {**dict.fromkeys(self.required, unnamed), **object_.get("properties", {})}


def _field(name: str, old: _Fields, new: _Fields) -> Iterable[Change]:
    if name in new.required and name not in old.required:
        yield Change(Effect.NOW_REQUIRED, "was optional and is required now")
    if name in old.required and name not in new.required:
        yield Change(Effect.NOW_OPTIONAL, "was required and is optional now")
    before, after = _default(old.named[name]), _default(new.named[name])
    if before != after and name not in old.required and name not in new.required:
        yield Change(Effect.OTHER_DEFAULT, f"has the default {after or 'of nobody'}; it was {before or 'not said'}")


def _default(schema: Any) -> str | None:
    return canonical(schema["default"]) if isinstance(schema, dict) and "default" in schema else None


def _below(step: str, changes: Iterable[Change]) -> list[Change]:
    return [replace(change, path=(step, *change.path)) for change in changes]


def _kinds(before: Form, after: Form) -> Iterable[Change]:
    gone = {kind: before[kind] for kind in before if kind not in after}
    come = {kind: after[kind] for kind in after if kind not in before}
    if gone and come:
        yield Change(Effect.REPLACED, f"was {_words(before)} and is {_words(after)} now")
    elif gone:
        yield Change(Effect.NARROWER, f"is no longer {_words(gone)}, only {_words(after)}")
    elif come:
        yield Change(Effect.WIDER, f"may now be {_words(come)}; it was {_words(before)}")


def _words(form: Form) -> str:
    if len(form) == len(KINDS):
        return "anything"
    whole = "number" in form and all(INTEGRAL in each for each in form["number"])
    return " or ".join("integer" if kind == "number" and whole else kind for kind in form) or "nothing"
