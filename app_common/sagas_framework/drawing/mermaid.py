"""Text as Mermaid can hold it."""

from __future__ import annotations

import re

from sagas_framework.vocabulary.text import printable

_SPOKEN = re.compile(r"[^\w .,:-]")
_PLAIN = re.compile(r"[^\W_]|[ ,…↩✔✖▶○⚠⊘]|(?<=[^\W\d_])[._-](?=[^\W_])")


def spoken(title: str, description: str, otherwise: str) -> list[str]:
    """The lines for those who do not see the picture."""
    return [f"accTitle: {_spoken(title) or otherwise}", f"accDescr: {_spoken(description) or otherwise}"]


def _spoken(text: str) -> str:
    """To the end of the line, in letters alone. It must not be empty."""
    return " ".join(_SPOKEN.sub(" ", text).split())


def label(*lines: str) -> str:
    """In quotes, as Mermaid wants it: never empty."""
    return f'"{"<br/>".join(escaped(line) for line in lines if line) or " "}"'


def escaped(text: str) -> str:
    """As it may stand between quotes. Mermaid reads labels as Markdown and as HTML: whatever is more than a letter, or
    punctuation inside a word, becomes a number."""
    words = " ".join(printable(text).split())
    return "".join(
        character if _PLAIN.match(words, at) else f"#{ord(character)};" for at, character in enumerate(words)
    )
