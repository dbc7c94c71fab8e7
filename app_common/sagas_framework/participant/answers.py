"""Doing commands effectively once: what their handlers write and the memory of it commit together."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from sagas_framework.errors import ConfigurationError, DefinitionError
from sagas_framework.events.publishing import Announce
from sagas_framework.participant import barrier
from sagas_framework.participant.barrier import Answer
from sagas_framework.participant.handlers import ANSWER_LATER, AnswerLater, HandlerContext
from sagas_framework.participant.order import Order
from sagas_framework.storage import keeping, memory
from sagas_framework.storage.database import check_deferred_constraints, lent_session
from sagas_framework.storage.keeping import Kept
from sagas_framework.storage.memory import Memory, MemoryKey
from sagas_framework.storage.weather import is_bad_weather
from sagas_framework.vocabulary.command import Failure
from sagas_framework.vocabulary.identity import Direction

logger = logging.getLogger(__name__)

Run = Callable[[Order, HandlerContext], Answer | AnswerLater]


class _Failed(Exception):
    """The handler raised: its transaction is rolled back, then the answer is remembered in another one."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


class Answers:
    """Without a database nothing is remembered: a duplicate runs its handler twice.

    `lets_through`: what a handler may raise that is no failure of its.
    """

    def __init__(
        self,
        engine: Engine | None,
        lets_through: tuple[type[Exception], ...] = (),
        announce: Announce | None = None,
    ) -> None:
        self._engine = engine
        self._announce = announce
        self._lets_through = lets_through

    def to(self, orders: Sequence[Order]) -> list[Answer | None]:
        """One for each command, in one transaction; None: nothing is to be sent.

        A handler that raises takes the whole transaction with it. A lone command's failure is then remembered in a
        second one, which looks at the memory anew: a compensation may have come in between. Of several, each runs once
        more in a savepoint of its own; so only what touches nothing but its database may be handed in with others.
        """
        if self._engine is None or not orders:
            return [self._run_without_database(order) for order in orders]
        alone = len(orders) == 1
        try:
            return self._transaction(self._engine, orders, self._run_and_flush if alone else self._run)
        except Exception as error:
            if is_bad_weather(error) or (alone and not isinstance(error, (_Failed, DBAPIError))):
                raise
            if alone:
                answer = _answer_of(error)
                return self._transaction(self._engine, orders, lambda order, context: answer)
        return self._transaction(self._engine, orders, self._run_in_savepoint)

    def _transaction(self, engine: Engine, orders: Sequence[Order], run: Run) -> list[Answer | None]:
        now = time.time()
        with engine.begin() as connection, lent_session(connection) as session:
            known = memory.take(connection, {order.key for order in orders}, now)
            before, kept = dict(known), list[Kept]()
            answers = [self._answer(order, known, session, run, kept) for order in orders]
            session.flush()
            memory.remember(connection, {key: past for key, past in known.items() if past is not before[key]}, now)
            keeping.keep(connection, kept, now)
            return answers

    def _answer(
        self, order: Order, known: dict[MemoryKey, Memory], session: Session, run: Run, kept: list[Kept]
    ) -> Answer | None:
        place, past = order.place, known[order.key]
        decision = barrier.decide(past, place.direction, place.attempt, unconditional=place.unconditional)
        if decision is barrier.RUN:
            reply = barrier.reply_to_undo(past) if place.direction is Direction.COMPENSATION else None
            given = run(order, _context(order, session, self._announce, reply))
            decision = barrier.WAITING if given is ANSWER_LATER else _decided(order, given, kept)
        changes = decision.changes
        if decision is barrier.WAITING:
            changes = barrier.changes_of_deferring(past, place.attempt, order.address.to_json())
        if changes:
            known[order.key] = replace(past, **changes)
        if decision.silence:
            logger.info("%s of saga %s is not answered now: %s", order.task, order.saga_id, decision.silence)
        return decision.answer

    def _run(self, order: Order, context: HandlerContext) -> Answer | AnswerLater:
        try:
            given: object = order.work.run(order.payload, context)
            if given is ANSWER_LATER:
                _check_that_it_can_wait(order, context)
                return ANSWER_LATER
            return Answer(order.work.encode(given))
        except self._lets_through:
            raise
        except Exception as error:
            if is_bad_weather(error):
                raise
            raise _failed(order, error) from error

    def _run_and_flush(self, order: Order, context: HandlerContext) -> Answer | AnswerLater:
        answer = self._run(order, context)
        try:
            context.session.flush()
        except Exception as error:
            if is_bad_weather(error):
                raise
            raise _failed(order, error) from error
        return answer

    def _run_in_savepoint(self, order: Order, context: HandlerContext) -> Answer | AnswerLater:
        try:
            with context.session.begin_nested():
                answer = self._run_and_flush(order, context)
                check_deferred_constraints(context.session)
                return answer
        except Exception as error:
            if is_bad_weather(error):
                raise
            return _answer_of(error)

    def _run_without_database(self, order: Order) -> Answer:
        try:
            given = self._run(order, _context(order, None, None))
        except _Failed as failed:
            return failed.answer
        assert given is not ANSWER_LATER  # nothing can wait without a database
        return given


def _decided(order: Order, answer: Answer, kept: list[Kept]) -> barrier.Decision:
    if answer.failure is not None and order.reply_queue is None:
        kept.append(order.kept(f"nobody waits for its failure: {answer.failure.type}: {answer.failure.message}"))
    return barrier.Decision(answer, barrier.changes_of(order.place.direction, order.place.attempt, answer))


def _context(order: Order, session: Session | None, announce: Announce | None, reply: Any = None) -> HandlerContext:
    place = order.place
    return HandlerContext(place.saga, place.step, place.attempt, session, reply, place.orchestrator, announce)


def _check_that_it_can_wait(order: Order, context: HandlerContext) -> None:
    if order.place.direction is Direction.COMPENSATION:
        raise DefinitionError(
            f"{order.task} undoes something, and that cannot be answered later; raise TransientError to be asked again",
            step=order.place.step,
        )
    if context.session is None:
        raise ConfigurationError(
            f"{order.task} cannot be answered later: this participant has no database in which to remember who asked"
        )


def _failed(order: Order, error: Exception) -> _Failed:
    failure = Failure.of(error, order.work.transient)
    logger.info("%s of saga %s failed (%s): %s", order.task, order.saga_id, failure.kind, error)
    return _Failed(Answer(failure=failure))


def _answer_of(error: Exception) -> Answer:
    return error.answer if isinstance(error, _Failed) else Answer(failure=Failure.of(error))
