"""The outbox relay: sends what is due, and what is awaited again and again until somebody says that it has arrived."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, RowMapping

from sagas_framework.errors import PublishFailed
from sagas_framework.storage import outbox
from sagas_framework.storage.database import reading
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import OutgoingMessage

logger = logging.getLogger(__name__)

RELAY_LIMIT = 100
IDLE_SECONDS = 0.1
FIRST_WAIT_SECONDS = 5.0
"""When what was sent is sent again, should nobody say that it has arrived; doubled each time."""
LONGEST_WAIT_SECONDS = 600.0
CROWDED_MESSAGES = 200
"""A queue with so many waiting most likely holds what was sent already."""


class OutboxRelay:
    """A chore of the delivery thread. At least once: a death between confirmation and commit sends again."""

    def __init__(self, engine: Engine, publisher: Publisher) -> None:
        self._engine = engine
        self._publisher = publisher

    def __call__(self) -> float:
        now = time.time()
        with reading(self._engine) as connection:
            if not outbox.is_due(connection, now):
                return IDLE_SECONDS
        self._publisher.check()  # not while holding rows, which on SQLite holds up every writer
        with self._engine.begin() as connection:
            rows = outbox.take_due(connection, now, RELAY_LIMIT)
            crowded = self._crowded({row["queue"] for row in rows if row["times"]})
            sent = self._send([row for row in rows if not (row["times"] and row["queue"] in crowded)])
            gone = {row["id"] for row in sent if not row["awaited"]}
            outbox.forget(connection, sorted(gone))
            # What was not sent waits longer each time as well: of a subscriber that is away for a day, hundreds of
            # thousands may be due again and again, and must not take the others' turns.
            waits = [(row["id"], now + _wait_seconds(row["times"])) for row in rows if row["id"] not in gone]
            outbox.put_off(connection, waits)
        return 0.0 if len(rows) == RELAY_LIMIT else IDLE_SECONDS

    def _send(self, rows: Sequence[RowMapping]) -> Sequence[RowMapping]:
        """Gives what the broker has taken: what it refuses (a queue is full, say) must not hold up the rest."""
        try:
            self._publisher.publish([_message(row) for row in rows])
        except PublishFailed as error:
            logger.warning("%d messages are sent later: %s", len(error.message_ids), error)
            return [row for row in rows if row["message"]["id"] not in error.message_ids]
        return rows

    def _crowded(self, queues: Collection[str]) -> set[str]:
        return {queue for queue in queues if self._publisher.backlog(queue) >= CROWDED_MESSAGES}


def _message(row: Mapping[Any, Any]) -> OutgoingMessage:
    message = OutgoingMessage(**row["message"])
    if row["times"] and message.correlation is not None:
        message.correlation["again"] = True
    return message


def _wait_seconds(times: int) -> float:
    return min(FIRST_WAIT_SECONDS * 2.0 ** min(times, 32), LONGEST_WAIT_SECONDS)
