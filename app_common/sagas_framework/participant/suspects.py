"""A command that comes again may be what killed the worker: it is counted, then it runs alone, in the end it is parked.

The arithmetic for a command that kills its process every time: its 2nd delivery is counted (1) and runs beside
others, which may be redelivered and counted (1) as well; its 3rd (2) and 4th (3) run alone; its 5th is not begun.
A command is counted a second time only when it is alone: so whoever died beside a poison never gets beyond 1.
"""

from __future__ import annotations

import logging
import time

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from sagas_framework.participant.order import Order
from sagas_framework.storage import keeping, memory

logger = logging.getLogger(__name__)

BEGUN_BEFORE_ALONE = 1
BEGUN_BEFORE_PARKED = 3
"""A command that was begun again so often and never came to an end is not begun a fifth time."""


class Parked(Exception):
    """The step's command waits with the operator: it is neither run nor answered."""


class Suspects:
    def __init__(self, engine: Engine | None) -> None:
        self._engine = engine

    def is_to_run_alone(self, order: Order) -> bool:
        """Raises Parked for one that is not to run at all. Nothing is counted here: it may yet wait for its turn."""
        if not order.suspect:
            return False
        if self._engine is None:  # nothing can be counted
            return True
        with self._engine.begin() as connection:
            begun = keeping.begun_deliveries(connection, [order.message_id]).get(order.message_id, 0)
            if begun < BEGUN_BEFORE_PARKED:
                return begun >= BEGUN_BEFORE_ALONE
            now = time.time()
            memory.take(connection, order.key, now)
            memory.remember(connection, order.key, parked=order.place.direction.value)
            keeping.keep(connection, [order.kept("it has killed its worker too often")], now)
        raise Parked

    def count(self, order: Order) -> None:
        """It is its turn: committed before it is begun."""
        if order.suspect and self._engine is not None:
            with self._engine.begin() as connection:
                keeping.count_deliveries(connection, [order.message_id], time.time())

    def clear(self, order: Order) -> None:
        """It ended, and the process is alive: the command is no poison."""
        if order.suspect and self._engine is not None:
            try:
                with self._engine.begin() as connection:
                    keeping.forget_deliveries(connection, [order.message_id])
            except SQLAlchemyError as error:
                logger.warning("the count of deliveries of %s stays: %s", order.message_id, error)
