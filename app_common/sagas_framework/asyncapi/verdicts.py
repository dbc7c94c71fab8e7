"""Differences between documents, and which change of a schema is which of them: the table in `diff`, in code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sagas_framework.asyncapi.schema_keywords import Effect


class Kind(StrEnum):
    """In the order in which they are told."""

    BREAKAGE = "breakage"
    ADDITION = "addition"
    NOTE = "note"


class Way(StrEnum):
    """Seen from the service that the document describes."""

    RECEIVED = "received"
    SENT = "sent"


@dataclass(frozen=True)
class Difference:
    """One thing that changed: where, what, whom it breaks and what to do instead; the last two only of a breakage."""

    kind: Kind
    where: str
    what: str
    why: str = ""
    instead: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a change comes to, for those on the other side."""

    kind: Kind
    why: str = ""
    instead: str = ""


_ADDITION, _NOTE = Verdict(Kind.ADDITION), Verdict(Kind.NOTE)
_REFUSED = "who sends what was right before is refused"
_TAKE_BOTH = "take what was right before as well, or publish a new message beside this one"
_UNREADABLE = "who reads may meet what could not come before"
_READERS_FIRST = "publish a new message, or a new field, beside this one, and let the readers move first"
_UNTOLD = "it cannot be told whether all that was right before still is"
_KEEP_FIELD = "keep the field until nobody uses it"
_RECEIVED = {
    Effect.NEW_FIELD: _ADDITION,
    Effect.WIDER: _ADDITION,
    Effect.NOW_OPTIONAL: _ADDITION,
    Effect.OTHER_DEFAULT: _NOTE,
    Effect.NARROWER: Verdict(Kind.BREAKAGE, _REFUSED, _TAKE_BOTH),
    Effect.REPLACED: Verdict(Kind.BREAKAGE, _REFUSED, _TAKE_BOTH),
    Effect.UNCLEAR: Verdict(Kind.BREAKAGE, _UNTOLD, _TAKE_BOTH),
    Effect.NEW_REQUIRED: Verdict(Kind.BREAKAGE, "who does not send it yet is refused", "add it with a default"),
    Effect.NOW_REQUIRED: Verdict(Kind.BREAKAGE, "who leaves it out is refused", "keep its default"),
    Effect.REMOVED: Verdict(Kind.BREAKAGE, "who sends it sends it in vain", _KEEP_FIELD),
}
_SENT = {
    Effect.NEW_FIELD: _ADDITION,
    Effect.NEW_REQUIRED: _ADDITION,
    Effect.NOW_REQUIRED: _NOTE,
    Effect.NARROWER: _NOTE,
    Effect.OTHER_DEFAULT: _NOTE,
    Effect.WIDER: Verdict(Kind.BREAKAGE, _UNREADABLE, _READERS_FIRST),
    Effect.REPLACED: Verdict(Kind.BREAKAGE, _UNREADABLE, _READERS_FIRST),
    Effect.UNCLEAR: Verdict(Kind.BREAKAGE, _UNTOLD, _READERS_FIRST),
    Effect.NOW_OPTIONAL: Verdict(Kind.BREAKAGE, "who reads it may miss it", "go on sending it always"),
    Effect.REMOVED: Verdict(Kind.BREAKAGE, "who reads it misses it", _KEEP_FIELD),
}
VERDICTS: Mapping[Way, Mapping[Effect, Verdict]] = {Way.RECEIVED: _RECEIVED, Way.SENT: _SENT}
