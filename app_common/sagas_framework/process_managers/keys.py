"""The keys by which events find a saga. Each may have several values, which are compared as text."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any
from uuid import UUID

from sagas_framework.errors import DefinitionError, PayloadRefused
from sagas_framework.storage.processes import Key
from sagas_framework.vocabulary.text import is_storable

MAX_VALUE_CHARACTERS = 255

KeyValue = str | int | UUID


def key_text(value: Any) -> str | None:
    """A value as it is compared and stored; None: it cannot be that of a key."""
    value = value.value if isinstance(value, Enum) else value
    if not isinstance(value, KeyValue) or isinstance(value, bool):
        return None
    text = str(value)
    return text if text and len(text) <= MAX_VALUE_CHARACTERS and is_storable(text) else None


class Keys:
    """Only names that some binding looks for are taken: by a mistyped one the saga would never be found."""

    def __init__(self, manager: str, known: frozenset[str], present: Iterable[Key]) -> None:
        self._manager = manager
        self._known = known
        self._present = set(present)

    def add(self, name: str, value: KeyValue) -> None:
        """One value more."""
        self._present.add(self._key(name, value))

    def set(self, name: str, *values: KeyValue) -> None:
        """These values, and no others; without any: none at all."""
        self._refuse_unknown(name)
        wanted = {self._key(name, value) for value in values}
        self._present = {key for key in self._present if key.name != name} | wanted

    def remove(self, name: str, value: KeyValue) -> None:
        """One value less. (All of them go with `set(name)`: an event that says None must not take them away.)"""
        self._present.discard(self._key(name, value))

    def get(self, name: str) -> frozenset[str]:
        self._refuse_unknown(name)
        return frozenset(key.value for key in self._present if key.name == name)

    def all(self) -> frozenset[Key]:
        return frozenset(self._present)

    def _key(self, name: str, value: KeyValue) -> Key:
        self._refuse_unknown(name)
        text = key_text(value)
        if text is None:
            given = f"one of {len(value)}" if isinstance(value, str) else f"this {type(value).__name__}"
            raise PayloadRefused(
                f"key {name!r} of {self._manager}",
                f"a value is a text of 1 to {MAX_VALUE_CHARACTERS} characters, a whole number or a UUID, not {given}",
            )
        return Key(name, text)

    def _refuse_unknown(self, name: str) -> None:
        if name not in self._known:
            looked_for = ", ".join(map(repr, sorted(self._known))) or "none"
            raise DefinitionError(
                f"no binding looks for the key {name!r}, so that no event would find the saga by it (looked for: "
                f'{looked_for}); mend the name, or say @handles(..., saga_key="{name}", event_key=...)',
                saga=self._manager,
            )
