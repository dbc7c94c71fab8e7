"""The subscriber's end of its queue: a batch is taken in, receipts are sent, and only then is it acknowledged."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import ClassVar

from sqlalchemy import Engine

from sagas_framework.delivery.batches import Batches, Outcome
from sagas_framework.delivery.suspects import POISON
from sagas_framework.errors import PublishFailed
from sagas_framework.events.incoming import KILLER, Incoming, incoming_of
from sagas_framework.events.intake import Intake
from sagas_framework.storage import keeping
from sagas_framework.storage.keeping import Kept
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import OutgoingMessage, receipts_message
from sagas_framework.vocabulary.names import receipts_queue_name

logger = logging.getLogger(__name__)


class EventBatches(Batches):
    """What the inbox of a subscriber's queue hands its batches to."""

    alone_after_weather: ClassVar[bool] = True

    def __init__(self, engine: Engine, publisher: Publisher, intake: Intake) -> None:
        super().__init__(engine, publisher)
        self._intake = intake

    def apply(self, deliveries: Sequence[Delivery], poison: Sequence[Delivery]) -> Outcome:
        now = time.time()
        read = [(delivery, incoming_of(delivery, self._intake.subscriber)) for delivery in deliveries]
        read += [(delivery, incoming_of(delivery, self._intake.subscriber, KILLER)) for delivery in poison]
        for delivery in poison:
            logger.warning("event %s %s waits for the operator: %s", delivery.task, delivery.message_id, POISON)
        self._set_aside([one for _, one in read if isinstance(one, Kept)], now)
        arrived = [one for _, one in read if isinstance(one, Incoming)]
        # A worker that died of what is stored behind these has left a mark on these alone: so that is left to
        # `DueEvents`, which counts for itself.
        unsuspected = not any(delivery.suspect for delivery in deliveries)
        taken_in = self._intake.take_in(arrived, now, followers=unsuspected)
        here = [one for one in arrived if one.message_id not in taken_in.crowded_out]
        return self._with_receipts(taken_in.outgoing, here)

    def take_unasked(self, delivery: Delivery) -> None:
        """One that Celery has not handed to a batch, and that it has let go of already: should this fail, its publisher
        sends it again; and should only the receipt be lost, it is a duplicate then."""
        try:
            self._publisher.publish(self.apply([delivery], []).outgoing)
        except PublishFailed as error:
            logger.warning("no receipt for event %s %s: %s", delivery.task, delivery.message_id, error)

    def _with_receipts(self, outgoing: list[OutgoingMessage], arrived: Sequence[Incoming]) -> Outcome:
        """One message for each publisher, however many of its events there were.

        An event whose receipt cannot be sent is not given back to the broker: its publisher sends it again, gets a
        receipt for the duplicate, and nobody who has named a queue that the broker refuses holds up the others.
        """
        by_source: dict[str, list[str]] = {}
        for incoming in arrived:
            by_source.setdefault(incoming.stream.source, []).append(incoming.message_id)
        for source, ids in by_source.items():
            outgoing.append(receipts_message(receipts_queue_name(source), self._intake.subscriber, ids))
        return Outcome(outgoing)

    def _set_aside(self, kept: Sequence[Kept], now: float) -> None:
        if kept:
            with self._engine.begin() as connection:
                keeping.keep(connection, kept, now)
            for one in kept:
                logger.warning("kept for the operator: %s %s: %s", one.task, one.message_id, one.reason)
