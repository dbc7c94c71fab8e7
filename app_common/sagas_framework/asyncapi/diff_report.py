"""How the differences of two documents are told: as lines for a terminal, or as JSON for CI."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

from sagas_framework.asyncapi.document import Document
from sagas_framework.asyncapi.references import mapping
from sagas_framework.asyncapi.verdicts import Difference, Kind
from sagas_framework.vocabulary.text import printable_line

_SEMANTIC = re.compile(r"([1-9]\d{0,8})\.(\d{1,9})\.\d{1,9}([-+].*)?", re.ASCII)  # 0.x promises nothing


def as_text(differences: list[Difference], old: Document, new: Document) -> str:
    """Each, then how many there are, and which version the new document should say where it does not."""
    lines = []
    for each in differences:
        lines.append(f"{each.kind:<8}  {each.where}: {each.what}")
        if each.why:
            lines.append(f"{'':<8}  {each.why}; instead: {each.instead}")
    counts = [(kind, sum(each.kind is kind for each in differences)) for kind in Kind]
    counted = ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts)
    lines.append(counted if differences else "no difference")
    lines += _advice({each.kind for each in differences}, _version(old), _version(new))
    return "\n".join(map(printable_line, lines))


def as_json(differences: list[Difference]) -> str:
    """In ASCII: names in a document may hold signs that a terminal obeys."""
    return json.dumps([dataclasses.asdict(each) for each in differences], indent=2)


def _version(document: Document) -> Any:
    return mapping(document.get("info")).get("version")


def _advice(kinds: set[Kind], old: Any, new: Any) -> list[str]:
    before, after = _major_and_minor(old), _major_and_minor(new)
    if before is None or after is None:
        return []
    major, minor = before
    if Kind.BREAKAGE in kinds:
        what, wanted = "a breakage", (major + 1, 0)
    elif Kind.ADDITION in kinds:
        what, wanted = "an addition", (major, minor + 1)
    else:
        return []
    if after >= wanted:
        return []
    return [f"{what} wants version {wanted[0]}.{wanted[1]}.0; it {'still ' if old == new else ''}says {new}"]


def _major_and_minor(version: Any) -> tuple[int, int] | None:
    """None: it is no semantic version."""
    found = _SEMANTIC.fullmatch(version) if isinstance(version, str) else None
    return (int(found[1]), int(found[2])) if found else None
