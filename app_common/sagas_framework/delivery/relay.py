"""The outbox relay: sends what nobody awaits, and deletes it once the broker has confirmed it."""

from __future__ import annotations

from sqlalchemy import Engine

from sagas_framework.storage import keeping
from sagas_framework.storage.database import reading
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import OutgoingMessage

RELAY_LIMIT = 100
IDLE_SECONDS = 0.5


class OutboxRelay:
    """A chore of the delivery thread. At least once: a death between confirmation and commit sends again."""

    def __init__(self, engine: Engine, publisher: Publisher) -> None:
        self._engine = engine
        self._publisher = publisher

    def __call__(self) -> float:
        with reading(self._engine) as connection:
            if not keeping.outbox_has_messages(connection):
                return IDLE_SECONDS
        self._publisher.check()  # not while holding rows, which on SQLite holds up every writer
        with self._engine.begin() as connection:
            rows = keeping.take_from_outbox(connection, RELAY_LIMIT)
            self._publisher.publish([OutgoingMessage(**message) for _, message in rows])
            keeping.delete_from_outbox(connection, [row_id for row_id, _ in rows])
        return 0.0 if len(rows) == RELAY_LIMIT else IDLE_SECONDS
