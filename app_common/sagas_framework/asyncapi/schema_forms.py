"""What a schema allows, sorted by kinds of JSON values: the form in which two schemas can be compared.

The same is said in many ways: `type: [string, "null"]` and an `anyOf` of both, a `const` and an `enum` of one, a
reference and what it names, an `allOf` around a reference. Here they all become one: for each kind of value a list of
alternatives, each of them the keywords that speak about this kind and must all hold. A kind without alternatives is
not allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations, product
from math import ceil, floor, inf, isfinite
from typing import Any

from sagas_framework.asyncapi.json_values import canonical, kind_of
from sagas_framework.asyncapi.references import resolved, target
from sagas_framework.errors import ConfigurationError

Alternative = dict[str, Any]
Form = dict[str, list[Alternative]]

KINDS = ("null", "boolean", "number", "string", "array", "object")
INTEGRAL = "integral"  # our word for the difference between `number` and `integer`
TITLE = "title"  # kept to name the alternatives of a union; compared it is not

_NUMBER = (int, float)
_SCHEMA = (dict, bool)
# Each keyword with the kind of values that it speaks about and the types that it may have itself.
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_KEYWORDS: dict[str, tuple[str, tuple[type, ...]]] = {
    **dict.fromkeys(_BOUNDS, ("number", _NUMBER)),
    "multipleOf": ("number", _NUMBER),
    **dict.fromkeys(("minLength", "maxLength"), ("string", (int,))),
    "pattern": ("string", (str,)),
    **dict.fromkeys(("minItems", "maxItems"), ("array", (int,))),
    "uniqueItems": ("array", (bool,)),
    "items": ("array", (dict, bool, list)),
    "prefixItems": ("array", (list,)),
    "additionalItems": ("array", _SCHEMA),
    "contains": ("array", _SCHEMA),
    **dict.fromkeys(("minProperties", "maxProperties"), ("object", (int,))),
    **dict.fromkeys(("properties", "patternProperties", "dependencies"), ("object", (dict,))),
    "required": ("object", (list,)),
    "additionalProperties": ("object", _SCHEMA),
    "propertyNames": ("object", _SCHEMA),
}
_TAKEN_APART = ("type", "enum", "const", "anyOf", "oneOf", "allOf")
_ANNOTATIONS = ("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "externalDocs")
_ASIDE = ("$schema", "$id", "$comment", "definitions", "$defs", "discriminator")
_ZERO_SAYS_NOTHING = ("minLength", "minItems", "minProperties", "uniqueItems")
FIELDS = ("properties", "required", "additionalProperties")
_FIELDS_AND_PATTERNS = (*FIELDS, "patternProperties")  # patterns are compared as a whole, like what is unknown
ITEMS = ("items", "prefixItems", "additionalItems")
_UNORDERED = ("required", "enum", "type", "anyOf", "oneOf", "allOf")

MOST_ALTERNATIVES = 500
"""Unions of unions unfold into more than anybody can compare one by one: these are compared as a whole."""
MOST_EXPANDED = 100_000


class Forms:
    """The forms of one document's schemas."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._open: list[str] = []
        self._known: dict[str, Form] = {}
        self._cut_short: set[str] = set()
        self._left = 0
        self._joined: dict[tuple[int, int], dict[str, Any]] = {}

    def of(self, schema: Any) -> Form:
        if isinstance(schema, bool):
            return {kind: [{}] for kind in KINDS} if schema else {}
        if not isinstance(schema, dict):
            raise ConfigurationError(f"{schema!r} stands where a schema must be")
        if "$ref" in schema:  # whose siblings say nothing in draft-07, AsyncAPI's own dialect
            return self._referred(schema["$ref"])
        form = _own(schema)
        for values in _listed(schema):
            form = self._both(form, _of_values(values))
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                form = self._both(form, self._union(keyword, _list_of(schema, keyword)))
        for part in _list_of(schema, "allOf"):
            form = self._both(form, self.of(part))
        return {kind: _simplified(kind, form[kind]) for kind in KINDS if kind in form}

    def resolved(self, schema: Any) -> Any:
        return resolved(self._document, schema)

    def tags(self, alternative: Alternative) -> dict[str, frozenset[str]]:
        """The fields of an object that can only have certain values: what tells the members of a union apart."""
        properties = alternative.get("properties", {})
        forms = {name: self.of(properties[name]) for name in alternative.get("required", ()) if name in properties}
        values = {name: _enumerated(form) for name, form in forms.items()}
        return {name: texts for name, texts in values.items() if texts}

    def expanded(self, value: Any) -> Any:
        """A value with all that it refers to, without texts, and in one order: equal when it says the same."""
        self._left = MOST_EXPANDED
        return self._expanded(value, ())

    def _expanded(self, value: Any, inside: tuple[str, ...]) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ConfigurationError(f"a schema unfolds into more than {MOST_EXPANDED} parts: it cannot be compared")
        if isinstance(value, list):
            return [self._expanded(item, inside) for item in value]
        if not isinstance(value, Mapping):
            return value
        reference = value.get("$ref")
        if isinstance(reference, str):
            if reference in inside:  # how far up, whatever it is called
                return {"$ref": len(inside) - inside.index(reference)}
            return self._expanded(target(self._document, reference), (*inside, reference))
        found = {}
        for key, item in value.items():
            if key in ("title", "description", "$comment") and isinstance(item, str):
                continue
            found[key] = item if key in ("const", "enum") else self._expanded(item, inside)
            if key in _UNORDERED and isinstance(item, list):
                found[key] = sorted(found[key], key=canonical)
        return found

    def _referred(self, reference: Any) -> Form:
        if reference in self._open:
            self._cut_short.add(reference)
            return {}  # a union that has itself as a member has no more members for it
        if reference in self._known:
            return self._known[reference]
        self._open.append(reference)
        try:
            form = self.of(target(self._document, reference))
        finally:
            self._open.pop()
            self._cut_short.discard(reference)
        if not self._cut_short:
            self._known[reference] = form
        return form

    def _union(self, keyword: str, members: list[Any]) -> Form:
        forms = [self.of(member) for member in members]
        if sum(len(form.get(kind, ())) for form in forms for kind in KINDS) > MOST_ALTERNATIVES:
            return {kind: [{keyword: members}] for kind in KINDS}
        if keyword == "oneOf" and not all(self._apart(one, other) for one, other in combinations(forms, 2)):
            # A value that two of them allow is refused: such members cannot be looked at one by one.
            return {kind: [{"oneOf": members}] for kind in KINDS}
        return {kind: [each for form in forms for each in form.get(kind, ())] for kind in KINDS}

    def _both(self, one: Form, other: Form) -> Form:
        """What both allow."""
        found: Form = {}
        for kind in one.keys() & other.keys():
            merged = [self._merged(a, b) for a, b in product(one[kind], other[kind])]
            possible = [each for each in merged if each.get("enum") != frozenset()]
            if possible:
                found[kind] = possible
        return found

    def _merged(self, one: Alternative, other: Alternative) -> Alternative:
        """The keywords of both; where they cannot be put together, both as they are, to be compared as a whole."""
        found = {**one, **other}
        if "enum" in one and "enum" in other:
            found["enum"] = one["enum"] & other["enum"]
        if "required" in one and "required" in other:
            found["required"] = [*one["required"], *other["required"]]
        if "properties" in one and "properties" in other:
            found["properties"] = self._fields_of_both(one["properties"], other["properties"])
        apart = [key for key in one.keys() & other.keys() if key not in ("enum", "required", "properties", TITLE)]
        alike = all(one[key] == other[key] for key in apart) and _items_of(one, found) and _items_of(other, found)
        return found if alike and _fields_go_together(one, other) else {"allOf": [one, other]}

    def _fields_of_both(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
        found = {**one, **other}
        for name in (name for name in one if name in other and one[name] != other[name]):
            # The same object for the same pair, whenever it is asked for: a recursive schema is known by that.
            pair = (id(one[name]), id(other[name]))
            found[name] = self._joined.setdefault(pair, {"allOf": [one[name], other[name]]})
        return found

    def _apart(self, one: Form, other: Form) -> bool:
        """Whether it is plain that no value fits both."""
        pairs = ((a, b) for kind in KINDS for a, b in product(one.get(kind, ()), other.get(kind, ())))
        return all(self._tell_apart(a, b) for a, b in pairs)

    def _tell_apart(self, one: Alternative, other: Alternative) -> bool:
        if "enum" in one and "enum" in other:
            return not one["enum"] & other["enum"]
        mine, theirs = self.tags(one), self.tags(other)
        return any(not mine[name] & theirs[name] for name in mine.keys() & theirs.keys())


def _own(schema: Mapping[str, Any]) -> Form:
    """What the schema says itself, without its unions and parts."""
    types = _list_of({"type": [schema["type"]]} if isinstance(schema.get("type"), str) else schema, "type") or KINDS
    for unknown in (each for each in types if each not in (*KINDS, "integer")):
        raise ConfigurationError(f"a schema has type: {canonical(unknown)}, which is no type of JSON")
    form: Form = {kind: [{}] for kind in KINDS if kind in types or (kind == "number" and "integer" in types)}
    if "integer" in types and "number" not in types:
        form["number"][0][INTEGRAL] = True
    for keyword, value in schema.items():
        for kind in form:
            if _speaks_of(keyword, value, kind):
                form[kind][0][keyword] = value
    if form.get("number", [{}])[0].get(INTEGRAL):
        form["number"] = [_with_whole_bounds(form["number"][0])]
    return form


def _with_whole_bounds(number: Alternative) -> Alternative:
    """An integer that is more than 0 is at least 1: one way to say it, so that the two are not told apart."""
    bounds = {key: number[key] for key in _BOUNDS if isfinite(number.get(key, inf))}
    least = [ceil(bounds["minimum"])] if "minimum" in bounds else []
    most = [floor(bounds["maximum"])] if "maximum" in bounds else []
    least += [floor(bounds["exclusiveMinimum"]) + 1] if "exclusiveMinimum" in bounds else []
    most += [ceil(bounds["exclusiveMaximum"]) - 1] if "exclusiveMaximum" in bounds else []
    rest = {key: value for key, value in number.items() if key not in bounds}
    return rest | ({"minimum": max(least)} if least else {}) | ({"maximum": min(most)} if most else {})


def _speaks_of(keyword: str, value: Any, kind: str) -> bool:
    if keyword in _KEYWORDS:
        about, types = _KEYWORDS[keyword]
        fits = isinstance(value, types) and (bool in types or not isinstance(value, bool))
        if not fits or (keyword == "multipleOf" and not 0 < value < inf):
            raise ConfigurationError(f"a schema has {keyword}: {canonical(value)}, which is no {keyword}")
        return about == kind and not (keyword in _ZERO_SAYS_NOTHING and not value)
    if keyword == "format":  # numbers have some, too (`int32`)
        return kind in ("string", "number")
    if keyword == TITLE:
        return isinstance(value, str)
    # What is unknown here may mean anything, so it is kept and compared as it stands.
    return keyword not in (*_TAKEN_APART, *_ANNOTATIONS, *_ASIDE) and not keyword.startswith("x-")


def _list_of(schema: Mapping[str, Any], keyword: str) -> list[Any]:
    found = schema.get(keyword, [])
    if not isinstance(found, list):
        raise ConfigurationError(f"a schema has {keyword}: {canonical(found)}, which is no list")
    return found


def _listed(schema: Mapping[str, Any]) -> Iterable[list[Any]]:
    if "enum" in schema:
        yield _list_of(schema, "enum")
    if "const" in schema:
        yield [schema["const"]]


def _of_values(values: list[Any]) -> Form:
    form: Form = {}
    for kind in KINDS:
        texts = frozenset(canonical(value) for value in values if kind_of(value) == kind)
        if texts:
            form[kind] = [{} if kind == "null" else _one_of(texts)]
    return form


def _one_of(texts: frozenset[str]) -> Alternative:
    integral = all(text.lstrip("-").isdigit() for text in texts)
    return {"enum": texts, INTEGRAL: True} if integral else {"enum": texts}


def _enumerated(form: Form) -> frozenset[str] | None:
    """The only values that a form allows, if they are listed."""
    listed = [{"enum": ("null",)} if kind == "null" else each for kind in form for each in form[kind]]
    if not all("enum" in each for each in listed):
        return None
    return frozenset(text for each in listed for text in each["enum"])


def _simplified(kind: str, alternatives: list[Alternative]) -> list[Alternative]:
    listed = [each for each in alternatives if "enum" in each and not each.keys() - {"enum", INTEGRAL, TITLE}]
    if not listed:
        return alternatives
    texts = frozenset(text for each in listed for text in each["enum"])
    if kind == "boolean" and len(texts) == 2:
        return [{}]
    return [*(each for each in alternatives if each not in listed), _one_of(texts)]


def _items_of(side: Alternative, merged: Alternative) -> bool:
    """Whether the items that one side speaks of are those of both: `additionalItems` are other ones beside a tuple."""
    return not any(key in side for key in ITEMS) or all(side.get(key) == merged.get(key) for key in ITEMS)


def _fields_go_together(one: Alternative, other: Alternative) -> bool:
    """Who has `additionalProperties` speaks of the fields that he does not name, and the other may name some."""
    if any(key in side for side in (one, other) for key in ("additionalProperties", "patternProperties")):
        return not any(key in one for key in _FIELDS_AND_PATTERNS) or not any(
            key in other for key in _FIELDS_AND_PATTERNS
        )
    return True
