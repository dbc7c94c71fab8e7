"""Looking after what is due: asking again, giving up, retrying, deadlines, and what a dying process left unsent."""

from __future__ import annotations

import time

from sqlalchemy import Engine

from sagas_framework.delivery.relay import CROWDED_MESSAGES
from sagas_framework.engine.protocol import Confirmed
from sagas_framework.errors import PublishFailed
from sagas_framework.orchestrator.advance import Advancer
from sagas_framework.orchestrator.instance import Arrival, Work
from sagas_framework.storage import instances
from sagas_framework.storage.database import reading
from sagas_framework.transport.publisher import Publisher

CLAIM_LIMIT = 100
"""Sagas claimed at once; together with the pause between rounds it bounds how fast a backlog is asked again."""

PAUSE_BETWEEN_FULL_ROUNDS_SECONDS = 0.1
LONGEST_SLEEP_SECONDS = 0.5
"""A due time may be brought forward by another process, so that nobody sleeps longer than this."""


class DueSagas:
    """A chore of the delivery thread: one round, then how long to sleep."""

    def __init__(self, engine: Engine, advancer: Advancer, publisher: Publisher) -> None:
        self._engine = engine
        self._advancer = advancer
        self._publisher = publisher

    def __call__(self) -> float:
        now = time.time()
        with reading(self._engine) as connection:
            next_wake_at = instances.next_wake_at(connection, self._advancer.orchestrator, self._advancer.sagas)
        if next_wake_at is None or next_wake_at > now:
            return LONGEST_SLEEP_SECONDS if next_wake_at is None else min(next_wake_at - now, LONGEST_SLEEP_SECONDS)
        # With the broker away this raises and nothing is claimed, so that no asks are spent on it.
        queues = self._advancer.queues
        crowded = frozenset(queue for queue in queues if self._publisher.backlog(queue) >= CROWDED_MESSAGES)
        work = self._advancer.due(now, CLAIM_LIMIT, crowded)
        try:
            self._publisher.publish(work.outgoing)
        except PublishFailed as error:
            self._confirm(work, error.message_ids)
            raise
        self._confirm(work, frozenset())
        return PAUSE_BETWEEN_FULL_ROUNDS_SECONDS

    def _confirm(self, work: Work, refused: frozenset[str]) -> None:
        """Giving up counts from here on, for those that were really asked."""
        now = time.time()
        asked = [
            Arrival(saga_id, Confirmed(now, frozenset(message_ids - refused)))
            for saga_id, message_ids in work.asked_again.items()
            if message_ids - refused
        ]
        if asked:
            self._advancer.arrivals(asked, (), now)
