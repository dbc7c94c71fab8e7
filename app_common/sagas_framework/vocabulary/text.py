"""What databases and brokers can hold (no NUL, no halves of surrogate pairs), and what a terminal can show."""

from __future__ import annotations

import re

_NUL_IN_JSON = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_SURROGATES = re.compile("[\ud800-\udfff]")
_INSTEAD = "\N{REPLACEMENT CHARACTER}"


def storable(text: str) -> str:
    """The text with a replacement character for what PostgreSQL does not take."""
    return _SURROGATES.sub(_INSTEAD, text.replace("\x00", _INSTEAD))


def is_storable(text: str) -> bool:
    return "\x00" not in text and _SURROGATES.search(text) is None


def holds_nul(json_text: str) -> bool:
    """Whether JSON says `\\u0000` (and not an escaped backslash with those letters after it)."""
    return "\\u0000" in json_text and _NUL_IN_JSON.search(json_text) is not None


def printable(text: str) -> str:
    """The text without control characters: somebody else may have written it, and a terminal would obey them."""
    return "".join(character for character in text if character.isprintable() or character in "\n\t")


def printable_line(text: str) -> str:
    """The same, in one line: a break within a name would look like a line of our own."""
    return printable(text.replace("\n", " ").replace("\t", " "))
