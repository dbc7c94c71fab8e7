"""Names and failures as people read them; nothing that a terminal would obey gets through."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from sagas_framework.vocabulary.command import FailureKind
from sagas_framework.vocabulary.text import printable

DONE = "✔️"
FAILED = "❌"
NOTE = "❗️"
WAITING = "⏳"
AGAIN = "🔁"


def in_words(name: str) -> str:
    """`restaurant_service.create_ticket` and `create_ticket` both read `create ticket`."""
    return name.rpartition(".")[2].replace("_", " ").strip()


def reason_of(failure: object) -> str:
    """A failure in one line. A refusal speaks for itself; of an error one wants to know what it is."""
    if not isinstance(failure, Mapping):
        return ""
    message, name = message_of(failure), one_line(str(failure.get("type") or ""))
    if message and failure.get("kind") in (FailureKind.REFUSED, FailureKind.TRANSIENT):
        return message
    return ": ".join(part for part in (name, message) if part)


def message_of(failure: Mapping[str, object]) -> str:
    return one_line(str(failure.get("message") or ""))


def one_line(text: str) -> str:
    """The first line of a text."""
    lines = text.strip().splitlines()
    return printable(lines[0]) if lines else ""


def clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
