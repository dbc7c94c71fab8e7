"""Messages that could not be handled: looking at them, sending them once more, discarding them."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine

from sagas_framework.errors import ConfigurationError, MessageStays, UnknownMessage
from sagas_framework.operations.process import Process
from sagas_framework.operations.views import KeptMessage, kept_message_of
from sagas_framework.storage import instances, keeping, memory, views
from sagas_framework.storage.database import reading
from sagas_framework.storage.instances import HistoryRow
from sagas_framework.storage.keeping import GIVEN_UP
from sagas_framework.storage.memory import MemoryKey
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import RepeatedMessage
from sagas_framework.vocabulary.correlation import Correlation, place_of_stranger
from sagas_framework.vocabulary.identity import is_saga_id

logger = logging.getLogger(__name__)

PUBLISH_TIMEOUT_SECONDS = 3.0
"""Shorter than SQLite's busy timeout: the row, and on SQLite the database, is locked meanwhile."""

DEFAULT_LIMIT = 50


class KeptMessages:
    """`KeptMessages(orchestrator)`, `KeptMessages(participant)` or `KeptMessages(subscriber)`."""

    def __init__(self, keeper: Process) -> None:
        self._keeper = keeper

    @property
    def _engine(self) -> Engine:
        if self._keeper.engine is None:
            raise ConfigurationError("a participant without a database keeps no messages")
        return self._keeper.engine

    def list(self, limit: int = DEFAULT_LIMIT) -> list[KeptMessage]:
        """The newest first."""
        with reading(self._engine) as connection:
            return [kept_message_of(row) for row in views.list_kept(connection, limit)]

    def show(self, number: int) -> KeptMessage:
        with reading(self._engine) as connection:
            row = views.kept(connection, number)
        if row is None:
            raise UnknownMessage(number)
        return kept_message_of(row)

    def requeue(self, number: int, reason: str = "") -> KeptMessage:
        """Sends the message once more, as it was, and forgets it once the broker has confirmed.

        The row is locked until then: should the message fail again at once, it is kept anew and not lost.
        """
        publisher = Publisher(self._keeper.app, self._keeper.broker, PUBLISH_TIMEOUT_SECONDS)
        publisher.check()  # not while holding the row
        try:
            with self._engine.begin() as connection:
                row = _taken(connection, number)
                message = _as_it_was(row)
                _make_way(connection, row)
                keeping.delete_kept(connection, number)
                _note(connection, "message_requeued", row, reason)
                publisher.publish([message])
        finally:
            publisher.close()
        return kept_message_of(row)

    def discard(self, number: int, reason: str) -> KeptMessage:
        with self._engine.begin() as connection:
            row = _taken(connection, number)
            keeping.delete_kept(connection, number)
            _note(connection, "message_discarded", row, reason)
        return kept_message_of(row)


def _taken(connection: Connection, number: int) -> Mapping[Any, Any]:
    row = keeping.take_kept(connection, number)
    if row is None:
        raise UnknownMessage(number)
    return row


def _as_it_was(row: Mapping[Any, Any]) -> RepeatedMessage:
    number = row["id"]
    if row["reason"].startswith(GIVEN_UP):
        raise MessageStays(number, "an operator has given it up; whoever needs it after all has to say it anew")
    if not row["complete"]:
        raise MessageStays(number, "only a part of it was kept, or not as it was; its sender has to send it again")
    if row["content_type"] != "application/json":
        raise MessageStays(number, f"its content type is {row['content_type']!r}; only application/json is ever read")
    if not row["queue"]:
        raise MessageStays(number, "nobody noted the queue that it came from")
    headers: dict[str, Any] = row["headers"]
    return RepeatedMessage(
        row["queue"], row["task"], row["message_id"], row["body"], None, None, original_headers=headers
    )


def _make_way(connection: Connection, row: Mapping[Any, Any]) -> None:
    """What would stop the message at once is lifted: the count of deaths, a parked step, a remembered failure."""
    keeping.forget_deliveries(connection, [row["message_id"]])
    place = Correlation.from_headers(row["headers"])
    if place is not None and place.in_reply_to is not None:
        return  # a reply: orchestrators remember nothing of it
    awaited = place is not None and place.reply_queue is not None
    place = place or place_of_stranger(row["task"], row["message_id"], row["saga_id"])
    key = MemoryKey(place.orchestrator, place.saga, place.step)
    memory.unpark(connection, key)
    if not awaited:  # what is awaited, its orchestrator tries again by itself, as a new attempt
        memory.forget_failure(connection, key, place.direction)


def _note(connection: Connection, event: str, row: Mapping[Any, Any], reason: str) -> None:
    """In the log, and in the history of the saga if it is one of this database."""
    logger.warning(
        "%s: number %s, %s %s of saga %s, kept because %s; %s",
        event, row["id"], row["task"], row["message_id"], row["saga_id"] or "-", row["reason"].split("\n")[0], reason,
    )  # fmt: skip
    if is_saga_id(row["saga_id"]) and views.saga(connection, row["saga_id"]) is not None:
        detail = {"reason": reason, "task": row["task"], "message_id": row["message_id"], "kept_for": row["reason"]}
        instances.write(connection, [], [HistoryRow(row["saga_id"], time.time(), event, None, None, detail)])
