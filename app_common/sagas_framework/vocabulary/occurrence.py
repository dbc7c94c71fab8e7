"""What travels beside an event's payload, under the same key of the headers as what travels beside a command's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from sagas_framework.vocabulary.correlation import HEADER
from sagas_framework.vocabulary.event import MAX_AGGREGATE_CHARACTERS
from sagas_framework.vocabulary.names import MAX_SOURCE_CHARACTERS, SOURCE_PATTERN, is_source
from sagas_framework.vocabulary.text import is_storable

MAX_NUMBER = 2**63 - 1  # as the databases hold it

# What `from_headers` below takes, for those who read it in a document.
_Source = Annotated[str, Field(max_length=MAX_SOURCE_CHARACTERS, json_schema_extra={"pattern": SOURCE_PATTERN})]
_Aggregate = Annotated[str, Field(min_length=1, max_length=MAX_AGGREGATE_CHARACTERS)]
_Number = Annotated[int, Field(ge=1, le=MAX_NUMBER)]


@dataclass(frozen=True)
class EventHeader:
    """Which event of which aggregate a message is, as one subscriber counts them."""

    source: _Source
    """The service that published it; receipts go to the queue `<source>.receipts`."""
    aggregate: _Aggregate
    """What it is about: the name of its key and the value, `user_id=17`."""
    number: _Number
    """Counted from 1, without a gap, for each source, aggregate and subscriber: a subscriber handles them in this
    order, and the same number is the same event."""
    again: bool = False
    """Sent again, because no receipt came: an earlier copy may have killed its worker."""

    def to_header(self) -> dict[str, Any]:
        header: dict[str, Any] = {"source": self.source, "aggregate": self.aggregate, "number": self.number}
        return header | {"again": True} if self.again else header

    @classmethod
    def from_headers(cls, headers: Any) -> EventHeader | None:
        """What a message says of itself, or None when it carries no (readable) header of an event."""
        header = headers.get(HEADER) if isinstance(headers, dict) else None
        if not isinstance(header, dict):
            return None
        source, aggregate, number = (header.get(name) for name in ("source", "aggregate", "number"))
        if not is_source(source) or not _is_text(aggregate, MAX_AGGREGATE_CHARACTERS):
            return None
        if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MAX_NUMBER:
            return None
        return cls(str(source), str(aggregate), number, header.get("again") is True)


def _is_text(value: Any, limit: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= limit and is_storable(value)
