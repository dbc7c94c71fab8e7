"""Identities: sagas get time-ordered UUIDs, messages get ids derived from what they ask for.

A derived id is what makes asking again harmless: the same attempt always travels under the same id.
"""

from __future__ import annotations

import os
import time
import uuid
from enum import StrEnum

_MESSAGES = uuid.UUID("6f6b1f3e-4d0a-5b0e-9c53-2b8a5d7c1e42")


class Direction(StrEnum):
    """Whether a message asks for a step's work or for its undoing."""

    ACTION = "action"
    COMPENSATION = "compensation"


def new_saga_id() -> str:
    """A UUID of version 7: 48 bits of milliseconds, then randomness, so that new rows are neighbours."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & ((1 << 48) - 1)) << 80 | int.from_bytes(os.urandom(10), "big")
    return str(_version_7(value))


def child_saga_id(parent: str, step: str, attempt: int) -> str:
    """The id of the saga that is this attempt of another's step: known before it is there, and beside its parent's."""
    moment = uuid.UUID(parent).int >> 80
    rest = uuid.uuid5(_MESSAGES, "\x1f".join((parent, step, "child", str(attempt)))).int & ((1 << 80) - 1)
    return str(_version_7(moment << 80 | rest))


def _version_7(value: int) -> uuid.UUID:
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return uuid.UUID(int=value)


def message_id(orchestrator: str, saga_id: str, step: str, direction: Direction, attempt: int) -> str:
    """The id of one attempt of one step; the same whenever it is asked again."""
    return str(uuid.uuid5(_MESSAGES, "\x1f".join((orchestrator, saga_id, step, direction.value, str(attempt)))))


def reply_id(in_reply_to: str, succeeded: bool) -> str:
    """The id of the answer to a message; a remembered answer that is sent again keeps it."""
    return str(uuid.uuid5(_MESSAGES, f"{in_reply_to}\x1f{'success' if succeeded else 'failure'}"))


def new_message_id() -> str:
    """For what is sent of somebody's own accord, and follows from nothing."""
    return new_saga_id()


def is_saga_id(value: object) -> bool:
    """Whether a value that came from outside has the form of a saga id."""
    if not isinstance(value, str):
        return False
    try:
        return str(uuid.UUID(value)) == value
    except ValueError:
        return False
