"""Answers that come after their handlers, in transactions of the application's own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy.orm import Session

from sagas_framework.delivery.after_commit import AfterCommit, Pending
from sagas_framework.errors import AnswerRefused
from sagas_framework.participant import barrier
from sagas_framework.participant.barrier import Answer
from sagas_framework.participant.order import ReturnAddress
from sagas_framework.storage import memory
from sagas_framework.storage.database import LentSession
from sagas_framework.storage.memory import MemoryKey
from sagas_framework.transport.publisher import Publisher
from sagas_framework.vocabulary.correlation import step_of_token
from sagas_framework.vocabulary.identity import Direction

logger = logging.getLogger(__name__)


class LaterAnswers:
    """The reply is remembered in the caller's transaction and published just after it. Whatever prevents that: the
    orchestrator asks again, and the memory answers."""

    def __init__(self, publisher: Publisher) -> None:
        self._after_commit: AfterCommit[Pending] = AfterCommit(publisher)

    def give(self, token: str, answer_to: Callable[[ReturnAddress], Answer], session: Session) -> None:
        """`answer_to` makes the answer, given what the step remembers; what it raises changes nothing."""
        if isinstance(session, LentSession):
            # A batch has read the memory of its steps before, and would write it back as it was.
            raise AnswerRefused(token, "step.session is the transaction of another step; use a session of your own")
        step = step_of_token(token)
        if step is None:
            raise AnswerRefused(token, f"{token!r} is not the token of a step")
        key, connection = MemoryKey(*step), session.connection()
        now = time.time()
        past = memory.lock(connection, key, now)
        reason = "this database does not know it" if past is None else barrier.refusal_of_later_answer(past)
        if past is None or reason is not None:
            raise AnswerRefused(token, f"step {key.step!r} of saga {key.saga_id}: {reason}")
        address = ReturnAddress.from_json(past.reply)
        answer = answer_to(address)
        changes = barrier.changes_of(Direction.ACTION, past.attempt, answer)
        memory.remember(connection, {key: replace(past, **changes)}, now)
        reply = address.reply(answer)
        if reply is not None:
            self._after_commit.add(session, Pending([reply]))
        elif answer.failure is not None:
            logger.warning("%s of saga %s has failed, and nobody waits for it: %s", address.task, key.saga_id, answer)
