"""Looking after what a subscriber has stored: trying again what is due, and going on with what waited behind it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from sqlalchemy import Engine

from sagas_framework.delivery.suspects import BEGUN_BEFORE_ALONE, BEGUN_BEFORE_POISON, POISON
from sagas_framework.errors import in_one_line
from sagas_framework.events.incoming import KILLER
from sagas_framework.events.intake import Intake
from sagas_framework.storage import event_inbox
from sagas_framework.storage.database import reading
from sagas_framework.storage.event_inbox import Claimed
from sagas_framework.storage.weather import is_bad_weather
from sagas_framework.transport.publisher import Publisher

logger = logging.getLogger(__name__)

IDLE_SECONDS = 0.2
CLAIM_LIMIT = 10
"""With what follows each of them it bounds a transaction, for which everybody else who writes may have to wait."""
CLAIM_SECONDS = 10.0
"""When another worker may take up what this one has claimed and not brought to an end: it has most likely died."""
AFTER_TROUBLE_SECONDS = 1.0


class DueEvents:
    """A chore of the delivery thread.

    An event that kills its worker has no delivery that could be counted: it is itself counted when it is taken up, in a
    transaction of its own. After one death it is taken up alone, after three it waits for the operator.
    """

    def __init__(self, engine: Engine, publisher: Publisher, intake: Intake) -> None:
        self._engine = engine
        self._publisher = publisher
        self._intake = intake

    def __call__(self) -> float:
        now = time.time()
        with reading(self._engine) as connection:
            if not event_inbox.any_due(connection, self._intake.subscriber, now):
                return IDLE_SECONDS
        with self._engine.begin() as connection:
            claimed = event_inbox.claim_due(connection, self._intake.subscriber, now, now + CLAIM_SECONDS, CLAIM_LIMIT)
        self._go_on([one for one in claimed if one.begun < BEGUN_BEFORE_ALONE])
        for one in claimed:
            if one.begun >= BEGUN_BEFORE_POISON:
                self._park(one)
            elif one.begun >= BEGUN_BEFORE_ALONE:
                self._go_on([one], followers=False)
        return 0.0

    def _go_on(self, claimed: Sequence[Claimed], *, followers: bool = True) -> None:
        """All together or, where that meets trouble, each by itself: whatever one meets is no trouble of the others."""
        if not claimed:
            return
        ids, now = [one.id for one in claimed], time.time()
        with self._engine.begin() as connection:
            event_inbox.begin(connection, ids)
        try:
            outgoing = self._intake.go_on(claimed, now, followers=followers)
        except Exception as error:
            with self._engine.begin() as connection:
                event_inbox.release(connection, ids, now + AFTER_TROUBLE_SECONDS)
            why, trace = in_one_line(error), None if is_bad_weather(error) else error
            logger.warning("the stored events %s could not be taken up: %s", ids, why, exc_info=trace)
            for one in claimed if len(claimed) > 1 else ():
                self._go_on([one], followers=followers)
            return
        self._publisher.publish(outgoing)

    def _park(self, claimed: Claimed) -> None:
        with self._engine.begin() as connection:
            event_inbox.change(connection, claimed.id, parked=True, wake_at=None, begun=0, failure=KILLER.to_json())
        logger.warning("event number %d of the inbox waits for the operator: %s", claimed.id, POISON)
