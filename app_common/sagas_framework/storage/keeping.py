"""What outlives a message: messages kept for the operator, and counts of begun deliveries."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, select

from sagas_framework.storage.dialects import upsert
from sagas_framework.storage.schema import deliveries, kept_messages
from sagas_framework.vocabulary.codec import MAX_BODY_BYTES
from sagas_framework.vocabulary.text import storable

MAX_KEPT_BODY_CHARACTERS = MAX_BODY_BYTES  # whatever could ever be handled is kept whole, and can be requeued
MAX_KEPT_HEADER_CHARACTERS = 64 * 1024
MAX_KEPT_REASON_CHARACTERS = 4_000
_MAX_TEXT = 255

GIVEN_UP = "given up by the operator:"
"""How the reason begins of what nobody has to look after any more, but may want to look up."""


@dataclass(frozen=True)
class Kept:
    """A message that could not be handled, and why.

    `headers` and `body` are those that it came with, so that it can be sent again as it was; `intact` is False
    where they could not be put down faithfully.
    """

    reason: str
    task: str | None
    queue: str | None
    message_id: str | None
    saga_id: str | None
    headers: dict[str, Any]
    body: str
    content_type: str | None = "application/json"
    intact: bool = True


def keep(connection: Connection, messages: Iterable[Kept], now: float) -> None:
    """Keeps messages for the operator; one that comes again is counted, not kept twice."""
    for message in messages:
        fingerprint = hashlib.sha256(
            f"{message.message_id}\x1f{message.task}\x1f{message.body}".encode(errors="replace")
        ).hexdigest()
        headers, body = _plain_headers(message.headers), clean(message.body)[:MAX_KEPT_BODY_CHARACTERS]
        row = {
            "fingerprint": fingerprint,
            "reason": clean(message.reason)[:MAX_KEPT_REASON_CHARACTERS],
            "task": clean(message.task)[:_MAX_TEXT],
            "queue": clean(message.queue)[:_MAX_TEXT],
            "message_id": clean(message.message_id)[:_MAX_TEXT],
            "saga_id": clean(message.saga_id)[:_MAX_TEXT],
            "headers": headers,
            "body": body,
            "content_type": clean(message.content_type)[:_MAX_TEXT] or None,
            "complete": message.intact and headers == message.headers and body == message.body,
            "times": 1,
            "first_kept_at": now,
            "last_kept_at": now,
        }
        statement = upsert(connection)(kept_messages).values(row)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["fingerprint"],
                set_={
                    "times": kept_messages.c.times + 1,
                    "last_kept_at": statement.excluded.last_kept_at,
                    "reason": statement.excluded.reason,
                },
            )
        )


def clean(text: str | None) -> str:
    """What a database can hold as a text: no NUL, and nothing that is not Unicode."""
    return storable(text or "")


def _plain_headers(headers: dict[str, Any]) -> dict[str, Any]:
    """The headers as JSON that either database can hold; what is not JSON stands there as a text."""
    try:
        plain: dict[str, Any] = _plain(headers)
        written = json.dumps(plain)
    except RecursionError:
        return {"cut": "they are nested too deeply"}
    return plain if len(written) <= MAX_KEPT_HEADER_CHARACTERS else {"cut": written[:MAX_KEPT_HEADER_CHARACTERS]}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {clean(str(name)): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    return value if value is None or isinstance(value, (bool, int)) else clean(str(value))


def take_kept(connection: Connection, kept_id: int) -> RowMapping | None:
    """A kept message, locked: should it come back while it is being moved on, it is kept anew afterwards."""
    statement = select(kept_messages).where(kept_messages.c.id == kept_id).with_for_update()
    return connection.execute(statement).mappings().first()


def delete_kept(connection: Connection, kept_id: int) -> None:
    connection.execute(delete(kept_messages).where(kept_messages.c.id == kept_id))


def begun_deliveries(connection: Connection, message_ids: Sequence[str]) -> dict[str, int]:
    """How often a redelivered message was begun and never finished."""
    rows = connection.execute(
        select(deliveries.c.message_id, deliveries.c.begun).where(deliveries.c.message_id.in_(list(message_ids)))
    )
    return {message_id: begun for message_id, begun in rows}


def count_deliveries(connection: Connection, message_ids: Iterable[str], now: float) -> None:
    rows = [{"message_id": message_id, "begun": 1, "last_at": now} for message_id in sorted(set(message_ids))]
    statement = upsert(connection)(deliveries)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["message_id"],
            set_={"begun": deliveries.c.begun + 1, "last_at": statement.excluded.last_at},
        ),
        rows,
    )


def forget_deliveries(connection: Connection, message_ids: Sequence[str]) -> None:
    """The work of these messages has come to its end, in whatever way: they are not poison."""
    if message_ids:
        connection.execute(delete(deliveries).where(deliveries.c.message_id.in_(list(message_ids))))
