"""The orchestrator's end of its reply queues: read, apply in one transaction, publish, and only then acknowledge."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from sagas_framework.delivery.kept import kept_of
from sagas_framework.engine.protocol import Reply, Unhandled
from sagas_framework.errors import PublishFailed, in_one_line
from sagas_framework.orchestrator.advance import Advancer, Arrival
from sagas_framework.orchestrator.instance import Work
from sagas_framework.storage import keeping
from sagas_framework.storage.database import is_bad_weather
from sagas_framework.storage.keeping import Kept
from sagas_framework.transport.inbox import Delivery, Unfinished
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import Unreadable, read_arguments
from sagas_framework.vocabulary.command import Failure
from sagas_framework.vocabulary.correlation import FailureKind
from sagas_framework.vocabulary.identity import is_saga_id
from sagas_framework.vocabulary.names import success_task_name

logger = logging.getLogger(__name__)

POISON = "it has killed its worker too often"
BEGUN_BEFORE_ALONE = 1
BEGUN_BEFORE_KEPT = 3
"""A delivery counts when it is begun as a redelivery; so the third delivery runs alone, the fifth is kept."""


class ReplyBatches:
    """What the inbox hands its batches to."""

    def __init__(self, engine: Engine, advancer: Advancer, publisher: Publisher) -> None:
        self._engine = engine
        self._advancer = advancer
        self._publisher = publisher

    def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Returns when all of it is done; raises Unfinished with what is not."""
        remaining = list(deliveries)
        unsent: list[Delivery] = []
        reasons: list[str] = []
        hold: list[Delivery] = []
        try:
            for part, poison in self._parts(deliveries):
                work = self._apply(part, poison)
                unsent += self._publish(work, reasons)
                hold += work.locked
                reasons += ["somebody else holds their sagas"] if work.locked else []
                done = {*part, *poison}
                remaining = [delivery for delivery in remaining if delivery not in done]
        except Exception as error:
            if not is_bad_weather(error):
                raise
            self._forget(remaining)
            hold += remaining
            reasons.append(f"{type(error).__name__}: {in_one_line(error)}")
        if unsent or hold:
            raise Unfinished("; ".join(reasons), give_back=unsent, hold=hold)

    def _publish(self, work: Work, reasons: list[str]) -> list[Delivery]:
        """Sends what the replies led to; gives those replies back that led to what could not be sent."""
        try:
            self._publisher.publish(work.outgoing)
        except PublishFailed as error:
            reasons.append(str(error))
            return [delivery for sent, delivery in work.sources if sent in error.message_ids]
        return []

    def _apply(self, deliveries: Sequence[Delivery], poison: Sequence[Delivery]) -> Work:
        now = time.time()
        arrivals: list[Arrival] = []
        kept: list[Kept] = []
        for delivery in deliveries:
            read = _read(delivery, now)
            if isinstance(read, Arrival):
                arrivals.append(read)
            else:
                kept.append(read)
        for delivery in poison:
            read = _read(delivery, now)
            kept.append(kept_of(delivery, POISON, read.saga_id))
            arrivals += _unhandled(read)
        work = self._advance(arrivals, kept, now)
        for message in kept + work.kept:
            logger.warning("kept for the operator: %s %s: %s", message.task, message.message_id, message.reason)
        return work

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

    def _parts(self, deliveries: Sequence[Delivery]) -> Iterator[tuple[Sequence[Delivery], Sequence[Delivery]]]:
        """What is to be handled together, in turn: (deliveries, those among the batch that are poison).

        A message that comes again may be what killed the worker. It is counted, in a commit of its own, before it is
        begun; on its third delivery it runs alone, on its fifth it is kept. Coming to an end, in whatever way, clears
        the count.
        """
        suspects = [delivery.message_id for delivery in deliveries if delivery.suspect]
        if not suspects:
            yield deliveries, ()
            return
        with self._engine.begin() as connection:
            begun = keeping.begun_deliveries(connection, suspects)
        poison = [d for d in deliveries if begun.get(d.message_id, 0) >= BEGUN_BEFORE_KEPT]
        alone = [d for d in deliveries if BEGUN_BEFORE_ALONE <= begun.get(d.message_id, 0) < BEGUN_BEFORE_KEPT]
        together = [d for d in deliveries if begun.get(d.message_id, 0) < BEGUN_BEFORE_ALONE]
        self._count([d for d in together if d.suspect])
        if together or poison:
            yield together, poison
        for delivery in alone:
            self._count([delivery])
            yield [delivery], ()

    def _forget(self, deliveries: Sequence[Delivery]) -> None:
        """The weather is to blame and the process is alive: these begun deliveries do not count."""
        suspects = [delivery.message_id for delivery in deliveries if delivery.suspect]
        if suspects:
            try:
                with self._engine.begin() as connection:
                    keeping.forget_deliveries(connection, suspects)
            except SQLAlchemyError as error:
                logger.warning("the counts of %d deliveries stay: %s", len(suspects), in_one_line(error))

    def _count(self, deliveries: Sequence[Delivery]) -> None:
        if deliveries:
            with self._engine.begin() as connection:
                keeping.count_deliveries(connection, [delivery.message_id for delivery in deliveries], time.time())


def _read(delivery: Delivery, now: float) -> Arrival | Kept:
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
        failure=None if succeeded else Failure.from_wire(payload),
        transient=correlation is not None and correlation.failure_kind is FailureKind.TRANSIENT,
        redelivered=delivery.redelivered or delivery.tried_before,
        place=(correlation.step, correlation.direction, correlation.attempt) if correlation else None,
    )
    return Arrival(saga_id, reply, delivery)


def _unhandled(read: Arrival | Kept) -> list[Arrival]:
    """The saga learns that its reply is with the operator: it would otherwise ask for it again, for ever."""
    if not isinstance(read, Arrival) or not isinstance(read.entry, Reply):
        return []
    failure = Failure("ReplyKillsItsWorker", f"{POISON}; `sagas kept list` shows it, `sagas retry` asks for it again")
    return [Arrival(read.saga_id, Unhandled(read.entry.now, read.entry.in_reply_to, failure), read.delivery)]
