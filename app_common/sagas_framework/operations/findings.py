"""What a doctor says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of the report. `remedy` says what to do about a problem."""

    check: str
    ok: bool
    text: str
    remedy: str = ""


def many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"
