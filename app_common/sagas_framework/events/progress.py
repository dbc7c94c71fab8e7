"""How far a subscriber is in one stream, and how it tells a duplicate from another event of the same number."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

REMEMBERED = 8
_DIGITS = 16
_TIME_DIGITS = 12
_CLEARLY_NEWER_MILLISECONDS = 60_000


@dataclass(frozen=True)
class Progress:
    """`handled`: the number of the last event that was. `recent`: of the last few that were, the beginnings of their
    message ids, one behind the other; the last one is that of `handled`."""

    handled: int
    recent: str = ""

    def after(self, message_id: str) -> Progress:
        """The next one has been handled."""
        return Progress(self.handled + 1, (self.recent + _beginning(message_id))[-REMEMBERED * _DIGITS :])

    def before(self, number: int) -> Progress:
        """As if this one, and what came after it, had not been handled."""
        remembered = max(len(self.recent) - (self.handled + 1 - number) * _DIGITS, 0)
        return Progress(number - 1, self.recent[:remembered])

    def is_another(self, number: int, message_id: str) -> bool:
        """Whether a number that was handled has come to mean another event: its publisher counts anew.

        Of numbers that are not remembered any more only the time tells, which our ids begin with.
        """
        end = len(self.recent) - (self.handled - number) * _DIGITS
        if end > 0:
            return self.recent[end - _DIGITS : end] != _beginning(message_id)
        newest, its_own = _milliseconds(self.recent[-_DIGITS:]), _milliseconds(_beginning(message_id))
        return newest is not None and its_own is not None and its_own - newest > _CLEARLY_NEWER_MILLISECONDS


def _beginning(message_id: str) -> str:
    try:
        return uuid.UUID(message_id).hex[:_DIGITS]
    except ValueError:  # another publisher's, which may begin like all of its others
        return uuid.uuid5(uuid.NAMESPACE_OID, message_id).hex[:_DIGITS]


def _milliseconds(beginning: str) -> int | None:
    """None: it is no UUID of version 7."""
    return int(beginning[:_TIME_DIGITS], 16) if beginning[_TIME_DIGITS : _TIME_DIGITS + 1] == "7" else None
