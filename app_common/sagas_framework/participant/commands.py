"""A batch of commands: read, done in one transaction, answered, and only then acknowledged.

For handlers that are short and touch nothing but the participant's database: should one of them raise, the others'
work is rolled back with it and done once more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from sqlalchemy import Connection, Engine

from sagas_framework.delivery.batches import Batches
from sagas_framework.delivery.kept import kept_of
from sagas_framework.delivery.suspects import POISON
from sagas_framework.events.publishing import Announce
from sagas_framework.participant.answers import Answers
from sagas_framework.participant.handlers import Work
from sagas_framework.participant.order import Order, order_of_delivery
from sagas_framework.storage import keeping, memory
from sagas_framework.storage.keeping import Kept
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import OutgoingMessage, Unreadable, read_arguments

logger = logging.getLogger(__name__)


@dataclass
class Done:
    outgoing: list[OutgoingMessage] = field(default_factory=list)
    sources: list[tuple[str, Delivery]] = field(default_factory=list)
    locked: tuple[()] = ()


class CommandBatches(Batches):
    """What the inbox of a command queue hands its batches to."""

    alone_after_weather: ClassVar[bool] = True

    def __init__(
        self, engine: Engine, publisher: Publisher, works: Mapping[str, Work], announce: Announce | None = None
    ) -> None:
        super().__init__(engine, publisher)
        self._answers = Answers(engine, announce=announce)
        self._works = works

    def apply(self, deliveries: Sequence[Delivery], poison: Sequence[Delivery]) -> Done:
        read = [(delivery, self._read(delivery)) for delivery in deliveries]
        orders = [(delivery, order) for delivery, order in read if isinstance(order, Order)]
        done = Done()
        for (delivery, order), answer in zip(orders, self._answers.to([order for _, order in orders]), strict=True):
            reply = None if answer is None else order.address.reply(answer)
            if reply is not None:
                done.outgoing.append(reply)
                done.sources.append((reply.id, delivery))
        self._set_aside([one for _, one in read if isinstance(one, Kept)] + [self._read(one) for one in poison])
        return done

    def _set_aside(self, given: Sequence[Order | Kept]) -> None:
        """What cannot be read, and commands that are not to be begun again."""
        if not given:
            return
        with self._engine.begin() as connection:
            for one in given:
                if isinstance(one, Order):
                    park(connection, one)
                else:
                    keeping.keep(connection, [one], time.time())
                    logger.warning("kept for the operator: %s %s: %s", one.task, one.message_id, one.reason)

    def _read(self, delivery: Delivery) -> Order | Kept:
        try:
            saga_id, payload = read_arguments(delivery.body, delivery.content_type)
        except Unreadable as error:
            return kept_of(delivery, str(error))
        return order_of_delivery(delivery, saga_id, payload, self._works[delivery.task])


def park(connection: Connection, order: Order) -> None:
    """The step's command waits with the operator from now on: it is neither run nor answered."""
    now = time.time()
    memory.take(connection, [order.key], now)
    memory.park(connection, order.key, order.place.direction)
    keeping.keep(connection, [order.kept(POISON)], now)
    logger.warning("%s of saga %s waits with the operator: %s", order.task, order.saga_id, POISON)
