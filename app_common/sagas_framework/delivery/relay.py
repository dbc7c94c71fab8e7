"""The outbox relay: sends what is due, and what is awaited again and again until somebody says that it has arrived."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Engine

from sagas_framework.storage import outbox
from sagas_framework.storage.database import reading
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import OutgoingMessage

RELAY_LIMIT = 100
IDLE_SECONDS = 0.1
FIRST_WAIT_SECONDS = 5.0
"""When what was sent is sent again, should nobody say that it has arrived; doubled each time."""
LONGEST_WAIT_SECONDS = 600.0
CROWDED_MESSAGES = 200
"""A queue with so many waiting most likely holds what was sent already."""
CROWDED_WAIT_SECONDS = 5.0


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
            late = [row["id"] for row in rows if row["times"] and row["queue"] in crowded]
            outbox.postpone(connection, late, now + CROWDED_WAIT_SECONDS)
            rows = [row for row in rows if row["id"] not in late]
            self._publisher.publish([_message(row) for row in rows])
            outbox.forget(connection, [row["id"] for row in rows if not row["awaited"]])
            waits = [(row["id"], now + _wait_seconds(row["times"])) for row in rows if row["awaited"]]
            outbox.wait_for_arrival(connection, waits)
        return 0.0 if len(rows) + len(late) == RELAY_LIMIT else IDLE_SECONDS

    def _crowded(self, queues: Collection[str]) -> set[str]:
        return {queue for queue in queues if self._publisher.backlog(queue) >= CROWDED_MESSAGES}


def _message(row: Mapping[Any, Any]) -> OutgoingMessage:
    message = OutgoingMessage(**row["message"])
    if row["times"] and message.correlation is not None:
        message.correlation["again"] = True
    return message


def _wait_seconds(times: int) -> float:
    return min(FIRST_WAIT_SECONDS * 2.0 ** min(times, 32), LONGEST_WAIT_SECONDS)
