"""The orchestrator's end of its reply queues: read, apply in one transaction, publish, and only then acknowledge."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from sqlalchemy import Engine

from sagas_framework.delivery.batches import Batches
from sagas_framework.delivery.kept import kept_of
from sagas_framework.delivery.suspects import POISON
from sagas_framework.engine.protocol import Reply, Summons, Unhandled
from sagas_framework.orchestrator.advance import Advancer
from sagas_framework.orchestrator.children import read_summons
from sagas_framework.orchestrator.instance import Arrival, Work
from sagas_framework.storage.keeping import Kept
from sagas_framework.storage.weather import is_bad_weather
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import Unreadable, read_arguments
from sagas_framework.vocabulary.command import Failure, FailureKind
from sagas_framework.vocabulary.correlation import Correlation
from sagas_framework.vocabulary.identity import is_saga_id
from sagas_framework.vocabulary.names import success_task_name

logger = logging.getLogger(__name__)


class ReplyBatches(Batches):
    """What the inbox of a reply queue hands its batches to. Commands for children come to the same queues."""

    def __init__(self, engine: Engine, advancer: Advancer, publisher: Publisher) -> None:
        super().__init__(engine, publisher)
        self._advancer = advancer

    def apply(self, deliveries: Sequence[Delivery], poison: Sequence[Delivery]) -> Work:
        now = time.time()
        arrivals: list[Arrival] = []
        kept: list[Kept] = []
        for delivery in deliveries:
            read = self._read(delivery, now)
            if isinstance(read, Arrival):
                arrivals.append(read)
            else:
                kept.append(read)
        for delivery in poison:
            read = self._read(delivery, now)
            kept.append(kept_of(delivery, POISON, read.saga_id))
            arrivals += _unhandled(read)
        work = self._advance(arrivals, kept, now)
        for message in kept + work.kept:
            logger.warning("kept for the operator: %s %s: %s", message.task, message.message_id, message.reason)
        return work

    def _read(self, delivery: Delivery, now: float) -> Arrival | Kept:
        saga = self._advancer.child_tasks.get(delivery.task)
        return read_reply(delivery, now) if saga is None else read_summons(delivery, saga, now)

    def _advance(self, arrivals: Sequence[Arrival], kept: Sequence[Kept], now: float) -> Work:
        can_skip = self._engine.dialect.name == "postgresql"
        held_before = any(arrival.delivery is not None and arrival.delivery.tried_before for arrival in arrivals)
        if not (can_skip and held_before):  # whose row was locked before, nobody waits for again
            try:
                return self._advancer.arrivals(arrivals, kept, now)
            except Exception as error:
                if not (can_skip and is_bad_weather(error)):
                    raise
        # It may be one row that somebody holds: the others need not wait for it.
        return self._advancer.arrivals(arrivals, kept, now, skip_locked=True)


def read_reply(delivery: Delivery, now: float) -> Arrival | Kept:
    """What a message says, or the message itself with the reason why it cannot be handled."""
    try:
        saga_id, payload = read_arguments(delivery.body, delivery.content_type)
    except Unreadable as error:
        return kept_of(delivery, str(error))
    if not is_saga_id(saga_id):
        return kept_of(delivery, f"{str(saga_id)[:100]!r} is not a saga id of ours", str(saga_id)[:100])
    correlation = delivery.correlation
    in_reply_to = correlation.in_reply_to if correlation else None
    in_reply_to = in_reply_to or delivery.headers.get("parent_id")
    if not isinstance(in_reply_to, str):
        return kept_of(delivery, "it does not say which command it answers (no header of ours, no parent_id)", saga_id)
    succeeded = delivery.task.endswith(success_task_name(""))
    reply = Reply(
        now,
        in_reply_to,
        succeeded,
        payload=payload if succeeded else None,
        failure=None if succeeded else Failure.from_wire(payload, _kind_of(correlation)),
        redelivered=delivery.redelivered or delivery.tried_before,
        place=(correlation.step, correlation.direction, correlation.attempt) if correlation else None,
    )
    return Arrival(saga_id, reply, delivery)


def _kind_of(correlation: Correlation | None) -> FailureKind:
    """A stranger's failure does not say: it is taken for an error."""
    return (correlation and correlation.failure_kind) or FailureKind.ERROR


def _unhandled(read: Arrival | Kept) -> list[Arrival]:
    """The saga learns that its reply is with the operator: it would otherwise ask for it again, for ever. So does the
    saga whose child is asked for or undone."""
    if not isinstance(read, Arrival):
        return []
    failure = Failure("ReplyKillsItsWorker", f"{POISON}; `sagas kept list` shows it, `sagas retry` asks for it again")
    entry = read.entry
    if isinstance(entry, Summons):
        parent, asked = str(entry.asked.place["saga"]), entry.asked.message_id
        return [Arrival(parent, Unhandled(entry.now, asked, failure), read.delivery)]
    if isinstance(entry, Reply):
        return [Arrival(read.saga_id, Unhandled(entry.now, entry.in_reply_to, failure), read.delivery)]
    return []
