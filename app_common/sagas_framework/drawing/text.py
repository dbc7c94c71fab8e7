"""Text in a picture: how wide it is, cut to fit, and escaped."""

from __future__ import annotations

import unicodedata
from html import escape

from sagas_framework.vocabulary.text import printable

_NARROW = frozenset("fijlrtI.,:;'|!()[] -/")
_WIDE = frozenset("mwMWQOCGDHNU@%_…↩<>=+~#&")


def width_of(text: str, size: float) -> float:
    """About as wide as common sans-serif fonts draw it; rather too wide than too narrow."""
    return size * sum(_width(character) for character in text)


def _width(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.05
    if character in _NARROW:
        return 0.37
    return 0.82 if character in _WIDE else 0.7 if character.isupper() else 0.6


def cut(text: str, size: float, width: float) -> str:
    """The text, or as much of its beginning as fits."""
    if width_of(text, size) <= width:
        return text
    room, kept = width - width_of("…", size), 0
    while kept < len(text) and room >= (own := width_of(text[kept], size)):
        room -= own
        kept += 1
    return text[:kept].rstrip() + "…"


def in_lines(text: str, size: float, width: float, most: int) -> list[str]:
    """The text in so many lines at most, broken between words; the last one cut."""
    lines: list[str] = []
    words = text.split(" ")
    while words and len(lines) < most - 1:
        line = words.pop(0)
        while words and width_of(f"{line} {words[0]}", size) <= width:
            line += f" {words.pop(0)}"
        lines.append(cut(line, size, width))
    return [*lines, cut(" ".join(words), size, width)] if words else lines


def escaped(text: str) -> str:
    """As it may stand anywhere in XML. What XML cannot hold at all is left out."""
    return escape(printable(text))
