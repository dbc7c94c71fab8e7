"""The orchestrator's end of its reply queues: read, apply in one transaction, publish, and only then acknowledge."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from sagas_framework.delivery.kept import kept_of
from sagas_framework.engine.protocol import Reply
from sagas_framework.errors import PublishFailed, in_one_line
from sagas_framework.orchestrator.advance import Advancer, Arrival
from sagas_framework.storage import keeping
from sagas_framework.storage.database import is_bad_weather
from sagas_framework.storage.keeping import Kept
from sagas_framework.transport.inbox import Delivery, GiveBack, TryLater
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import Unreadable, read_arguments
from sagas_framework.vocabulary.command import Failure
from sagas_framework.vocabulary.correlation import FailureKind
from sagas_framework.vocabulary.identity import is_saga_id
from sagas_framework.vocabulary.names import success_task_name

logger = logging.getLogger(__name__)

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
        try:
            if any(delivery.redelivered for delivery in deliveries):
                self._handle_suspects(deliveries)
            else:
                self._handle(deliveries)
        except PublishFailed as error:
            raise GiveBack(str(error)) from error
        except Exception as error:
            if is_bad_weather(error):
                self._forget(deliveries)
                raise TryLater(f"{type(error).__name__}: {in_one_line(error)}") from error
            raise

    def _handle(self, deliveries: Sequence[Delivery], poison: Sequence[Delivery] = ()) -> None:
        now = time.time()
        arrivals: list[Arrival] = []
        kept = [kept_of(delivery, "it has killed its worker too often") for delivery in poison]
        for delivery in deliveries:
            read = _read(delivery, now)
            if isinstance(read, Arrival):
                arrivals.append(read)
            else:
                kept.append(read)
        work = self._advancer.arrivals(arrivals, kept, now)
        for message in kept + work.kept:
            logger.warning("kept for the operator: %s %s: %s", message.task, message.message_id, message.reason)
        self._publisher.publish(work.outgoing)

    def _handle_suspects(self, deliveries: Sequence[Delivery]) -> None:
        """A redelivered message may be what killed the worker.

        It is counted, in a commit of its own, before it is begun; on its third delivery it runs alone, on its fifth
        it is kept. Coming to an end, in whatever way, clears the count.
        """
        suspects = [delivery.message_id for delivery in deliveries if delivery.redelivered]
        with self._engine.begin() as connection:
            begun = keeping.begun_deliveries(connection, suspects)
        poison = [d for d in deliveries if begun.get(d.message_id, 0) >= BEGUN_BEFORE_KEPT]
        alone = [d for d in deliveries if BEGUN_BEFORE_ALONE <= begun.get(d.message_id, 0) < BEGUN_BEFORE_KEPT]
        together = [d for d in deliveries if begun.get(d.message_id, 0) < BEGUN_BEFORE_ALONE]
        self._count([d for d in together if d.redelivered])
        self._handle(together, poison)
        for delivery in alone:
            self._count([delivery])
            self._handle([delivery])

    def _forget(self, deliveries: Sequence[Delivery]) -> None:
        """The weather is to blame and the process is alive: these begun deliveries do not count."""
        suspects = [delivery.message_id for delivery in deliveries if delivery.redelivered]
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
        redelivered=delivery.redelivered,
    )
    return Arrival(saga_id, reply, delivery)
