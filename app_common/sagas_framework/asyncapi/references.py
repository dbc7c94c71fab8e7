"""`$ref`: what it names inside its own document. A published document is whole; it refers to nothing outside.

Who checks documents wants to know of a reference that leads nowhere (`resolved`); who draws them takes what is not
there as empty (`target_of`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote

from sagas_framework.errors import ConfigurationError

_HERE = "#/"
_DATA = ("examples", "enum")  # lists of values: a `$ref` in there is nobody's reference


def pointer(*steps: str | int) -> str:
    """`#/channels/a~1b`: the reference to a place in its own document."""
    return _HERE + "/".join(
        quote(str(step).replace("~", "~0").replace("/", "~1"), safe="~!$&'()*+,;=:@") for step in steps
    )


def steps_of(reference: str) -> list[str]:
    return [unquote(step).replace("~1", "/").replace("~0", "~") for step in reference.removeprefix(_HERE).split("/")]


def target(document: Any, reference: Any) -> Any:
    """What a reference names. ConfigurationError: it leads nowhere, or out of the document."""
    if not isinstance(reference, str) or not reference.startswith(_HERE):
        raise ConfigurationError(f"$ref {reference!r} leads out of the document; copy in what it names")
    found = document
    for step in steps_of(reference):
        try:
            found = found[int(step) if isinstance(found, list) else step]
        except (KeyError, IndexError, TypeError, ValueError):
            raise ConfigurationError(f"$ref {reference!r} leads nowhere: there is no {step!r}") from None
    return found


def resolved(document: Any, node: Any) -> Any:
    """The node itself, or what it refers to, over as many references as it takes."""
    seen: list[Any] = []
    while isinstance(node, dict) and "$ref" in node:
        if node["$ref"] in seen:
            raise ConfigurationError(f"$ref {node['$ref']!r} leads to itself")
        seen.append(node["$ref"])
        node = target(document, node["$ref"])
    return node


def references(node: Any, *steps: str | int) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every reference below a node, and where it stands."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield steps, node["$ref"]
        for key, value in node.items():
            if key not in _DATA or not isinstance(value, list):
                yield from references(value, *steps, key)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from references(value, *steps, index)


def target_of(document: Any, entry: Any) -> Any:
    """What an entry refers to, or the entry itself; None: its reference leads nowhere."""
    try:
        return resolved(document, entry)
    except ConfigurationError:
        return None


def last_part(entry: Any) -> str:
    """The name by which an entry refers to something."""
    return steps_of(str(mapping(entry).get("$ref", "")))[-1]


def last_name(document: Any, entry: Any) -> str:
    """The name under which the target stands that an entry leads to, over as many references as it takes."""
    names: list[str] = []
    while name := last_part(entry):
        if name in names:
            break
        names.append(name)
        try:
            entry = target(document, entry["$ref"])
        except ConfigurationError:
            break
    return names[-1] if names else ""


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
