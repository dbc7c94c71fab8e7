"""Whether two documents say the same of a message's body."""

from __future__ import annotations

from typing import Any

from sagas_framework.asyncapi.document import Document
from sagas_framework.asyncapi.references import mapping, target_of

_FOR_READERS = frozenset({"title", "description", "examples", "example", "deprecated"})
_OF_NAMES = frozenset({"properties", "patternProperties", "definitions", "$defs"})
"""What stands below these is named by people: there, `title` is a field."""
_SETS = frozenset({"required", "enum"})


def agree(ours: object, our_document: Document, theirs: object, their_document: Document) -> bool:
    """Whether two schemas are the same with their references resolved. What is only there to be read may differ."""
    return _Comparison(our_document, their_document).same(ours, theirs)


class _Comparison:
    """A schema may refer to itself: what is being compared already is assumed to be the same."""

    def __init__(self, our_document: Document, their_document: Document) -> None:
        self._our_document = our_document
        self._their_document = their_document
        self._assumed: set[tuple[object, object]] = set()

    def same(self, ours: object, theirs: object) -> bool:
        our_name, their_name = mapping(ours).get("$ref"), mapping(theirs).get("$ref")
        if our_name is not None or their_name is not None:
            pair = (str(our_name or id(ours)), str(their_name or id(theirs)))
            if pair in self._assumed:
                return True
            self._assumed.add(pair)
            ours, theirs = target_of(self._our_document, ours), target_of(self._their_document, theirs)
            if ours is None or theirs is None:  # in another file, or nowhere
                return our_name == their_name
        if isinstance(ours, dict) and isinstance(theirs, dict):
            return self._same_entries(_contract(ours), _contract(theirs), _OF_NAMES)
        if isinstance(ours, list) and isinstance(theirs, list):
            return len(ours) == len(theirs) and all(map(self.same, ours, theirs))
        return type(ours) is type(theirs) and ours == theirs

    def _same_entries(
        self, ours: dict[str, Any], theirs: dict[str, Any], of_names: frozenset[str] = frozenset()
    ) -> bool:
        return ours.keys() == theirs.keys() and all(
            self._same_entries(mapping(ours[key]), mapping(theirs[key]))
            if key in of_names
            else self.same(ours[key], theirs[key])
            for key in ours
        )


def _contract(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        key: sorted(value, key=repr) if key in _SETS and isinstance(value, list) else value
        for key, value in schema.items()
        if key not in _FOR_READERS
    }
