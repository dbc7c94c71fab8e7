"""A message that comes again may be what killed its worker: it is counted, then it runs alone, in the end it is poison.

The arithmetic for one that kills its process every time: its 2nd delivery is counted (1) and runs beside others, which
may be redelivered and counted (1) as well; its 3rd (2) and 4th (3) run alone; its 5th is not begun. A message is
counted a second time only when it is alone: so whoever died beside a poison never gets beyond 1.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from sagas_framework.errors import in_one_line
from sagas_framework.storage import keeping

logger = logging.getLogger(__name__)

POISON = "it has killed its worker too often"
BEGUN_BEFORE_ALONE = 1
BEGUN_BEFORE_POISON = 3
"""A message that was begun again so often and never came to an end is not begun a fifth time."""


class Verdict(Enum):
    TOGETHER = "with others"
    ALONE = "with nothing beside it"
    POISON = "not at all"


class Suspicious(Protocol):
    @property
    def message_id(self) -> str: ...
    @property
    def suspect(self) -> bool: ...


class Suspects:
    """Without a database nothing can be counted: a suspect then always runs alone."""

    def __init__(self, engine: Engine | None) -> None:
        self._engine = engine

    def verdicts(self, messages: Sequence[Suspicious]) -> list[Verdict]:
        """How each may run. Nothing is counted here: it may yet wait for its turn."""
        ids = [message.message_id for message in messages if message.suspect]
        if not ids:
            return [Verdict.TOGETHER] * len(messages)
        if self._engine is None:
            return [Verdict.ALONE if message.suspect else Verdict.TOGETHER for message in messages]
        with self._engine.begin() as connection:
            begun = keeping.begun_deliveries(connection, ids)
        return [_verdict(begun.get(message.message_id, 0)) for message in messages]

    def count(self, messages: Sequence[Suspicious]) -> None:
        """It is their turn: committed before they are begun."""
        ids = [message.message_id for message in messages if message.suspect]
        if ids and self._engine is not None:
            with self._engine.begin() as connection:
                keeping.count_deliveries(connection, ids, time.time())

    def clear(self, messages: Sequence[Suspicious]) -> None:
        """They came to an end, in whatever way, and the process is alive: they are no poison."""
        ids = [message.message_id for message in messages if message.suspect]
        if ids and self._engine is not None:
            try:
                with self._engine.begin() as connection:
                    keeping.forget_deliveries(connection, ids)
            except SQLAlchemyError as error:
                logger.warning("the counts of %d deliveries stay: %s", len(ids), in_one_line(error))


def _verdict(begun: int) -> Verdict:
    if begun >= BEGUN_BEFORE_POISON:
        return Verdict.POISON
    return Verdict.ALONE if begun >= BEGUN_BEFORE_ALONE else Verdict.TOGETHER
