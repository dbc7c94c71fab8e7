"""Looking things up in a document that somebody else may have written: what is not there is simply empty."""

from __future__ import annotations

from typing import Any

from sagas_framework.asyncapi.document import Document

_LONGEST_CHAIN = 20


def mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def target_of(document: Document, entry: object) -> object:
    """What an entry refers to, at the end of it all; the entry itself if it has no reference. None: nothing here."""
    for _ in range(_LONGEST_CHAIN):
        reference = mapping(entry).get("$ref")
        if not isinstance(reference, str):
            return entry
        entry = _at(document, reference)
    return None


def last_part(entry: object) -> str:
    """The name by which an entry refers to something."""
    return _plain(str(mapping(entry).get("$ref", "")).rpartition("/")[2])


def _at(document: Document, reference: str) -> object:
    place: object = document if reference.startswith("#/") else None
    for part in reference.removeprefix("#/").split("/"):
        place = mapping(place).get(_plain(part))
    return place


def _plain(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")
