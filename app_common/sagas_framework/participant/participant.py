"""A participant: runs a handler behind the barrier, remembers, answers, and only then lets Celery acknowledge."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

from celery import Celery, Task
from celery.exceptions import Ignore, Reject, Retry
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from sagas_framework.errors import ConfigurationError, PublishFailed, TransientError, in_one_line
from sagas_framework.participant import barrier
from sagas_framework.participant.back_off import BackOff
from sagas_framework.participant.barrier import Answer
from sagas_framework.participant.gate import Gate
from sagas_framework.participant.handlers import HandlerContext, Work, marked_in, work_of
from sagas_framework.participant.in_hand import InHand
from sagas_framework.participant.intake import Intake, mark_as_command
from sagas_framework.participant.order import Order, order_of
from sagas_framework.participant.suspects import Parked, Suspects
from sagas_framework.storage import keeping, memory
from sagas_framework.storage.database import is_bad_weather, lent_session
from sagas_framework.transport.celery_app import Broker
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import reply_message
from sagas_framework.vocabulary.command import Failure
from sagas_framework.vocabulary.correlation import FailureKind
from sagas_framework.vocabulary.identity import Direction

logger = logging.getLogger(__name__)

WEATHER_RETRY_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""How long a handler's work waits for a deadlock, a lock or a lost database to pass before it is given back."""

_ATTRIBUTE = "sagas_participant"  # of the Celery app: where a task finds its participant
_CELERY_OWN = (Retry, Ignore, Reject)


class _Refusal(Exception):
    """The handler raised: its transaction is rolled back, then the answer is remembered in another one."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


class Participant:
    """Build it with `create_participant`.

    `app` is the Celery app of its worker; `engine` its database (None: a duplicate runs its handler twice);
    `sessions` makes sessions on it.
    """

    def __init__(self, name: str, app: Celery, broker: Broker, engine: Engine | None) -> None:
        self.name = name
        self.app = app
        self.broker = broker
        self.engine = engine
        self.sessions: sessionmaker[Session] | None = None if engine is None else sessionmaker(engine)
        self._publisher = Publisher(app, broker)
        self._gate = Gate()
        self._in_hand = InHand()
        self._suspects = Suspects(engine)
        self._back_off = BackOff()
        app.Task.Strategy = Intake(engine).strategy
        setattr(app, _ATTRIBUTE, self)

    def register(self, module: ModuleType) -> None:
        """Registers every `@handles` function of a module as a Celery task."""
        for function, marked in marked_in(module):
            self._register(work_of(function, marked), function)

    def _register(self, work: Work, function: Callable[..., Any]) -> None:
        def task_body(task: Task, saga_id: Any, payload: Any) -> None:
            self.perform(task, saga_id, payload, work)

        task_body.__doc__ = function.__doc__
        mark_as_command(task_body)
        self.app.task(bind=True, shared=False, name=work.task)(task_body)

    # ---- one command ------------------------------------------------------------------------------------------

    def perform(self, task: Task, saga_id: Any, payload: Any, work: Work) -> None:
        """Does a command once, answers it, and returns so that Celery acknowledges it.

        Whatever prevents an answer (the database or the broker is away) gives the command back to the broker.
        """
        order = order_of(task, saga_id, payload, work.reply_queue)
        # What Celery's own Retry has sent bears the same id, and may arrive before the handler that raised it is left.
        command = (order.task, order.message_id, str(order.retries))
        with self._in_hand.hold(command, order.redelivered) as ours:
            if ours:
                self._perform(order, work)
            else:
                logger.info("%s of saga %s is being done already", order.task, saga_id)

    def _perform(self, order: Order, work: Work) -> None:
        try:
            alone = self._suspects.is_to_run_alone(order)
            with self._gate.alone() if alone else self._gate.together():
                self._suspects.count(order)
                self._send(order, self._answer(order, work))
        except _CELERY_OWN:
            self._suspects.clear(order)
            raise
        except Parked:
            logger.warning("%s of saga %s waits with the operator", order.task, order.saga_id)
        except Exception as error:
            if isinstance(error, PublishFailed) or is_bad_weather(error):
                self._suspects.clear(order)
            else:  # it counts like a killed worker: what can never be answered must not come back for ever
                logger.exception("%s of saga %s could not be answered", order.task, order.saga_id)
            logger.warning("%s of saga %s is given back: %s", order.task, order.saga_id, in_one_line(error))
            self._back_off.wait()  # outside the gate: what can be answered goes on
            raise Reject(in_one_line(error), requeue=True) from error
        self._back_off.reset()
        self._suspects.clear(order)

    def _send(self, order: Order, answer: Answer) -> None:
        if order.reply_queue is None:
            return
        place = replace(order.place, reply_queue=None, in_reply_to=order.message_id, failure_kind=answer.kind)
        message = reply_message(
            order.task,
            order.reply_queue,
            order.saga_id,
            order.message_id,
            answer.value if answer.failure is None else answer.failure,
            place if order.announced else None,
        )
        self._publisher.publish([message])

    def _answer(self, order: Order, work: Work) -> Answer:
        if self.engine is None:
            try:
                return _outcome(
                    work, order, HandlerContext(order.place.saga, order.place.step, order.place.attempt, None)
                )
            except _Refusal as refusal:
                return refusal.answer
        for pause in WEATHER_RETRY_SECONDS:
            try:
                return self._remembering(order, work, self.engine)
            except Exception as error:
                if isinstance(error, _CELERY_OWN) or not is_bad_weather(error):
                    raise
                logger.warning("%s of saga %s: %s; again in %.2f s", order.task, order.saga_id, error, pause)
                time.sleep(pause)
        return self._remembering(order, work, self.engine)

    def _remembering(self, order: Order, work: Work, engine: Engine) -> Answer:
        """The handler's writes and the memory of them commit together.

        A handler that raises takes its whole transaction with it. Its failure is then remembered in a second one,
        which looks at the memory anew: a compensation may have come in between. So does what the database refused
        only at the end, a deferred constraint for example.
        """
        try:
            return self._transaction(order, engine, lambda context: _outcome(work, order, context))
        except _Refusal as refusal:
            answer = refusal.answer
        except DBAPIError as error:
            if is_bad_weather(error):
                raise
            answer = Answer(failure=Failure.of(error), kind=FailureKind.REFUSED)
        return self._transaction(order, engine, lambda context: answer)

    def _transaction(self, order: Order, engine: Engine, run: Callable[[HandlerContext], Answer]) -> Answer:
        place = order.place
        with engine.begin() as connection, lent_session(connection) as session:
            remembered = memory.take(connection, order.key, time.time())
            decision = barrier.decide(remembered, place.direction, place.attempt, unconditional=place.unconditional)
            if decision.parked:
                raise Parked
            if decision.answer is not None:
                if decision.changes:
                    memory.remember(connection, order.key, **decision.changes)
                return decision.answer
            reply = remembered.reply if place.direction is Direction.COMPENSATION else None
            answer = run(HandlerContext(place.saga, place.step, place.attempt, session, reply))
            memory.remember(connection, order.key, **barrier.changes_of(place.direction, place.attempt, answer))
            if answer.failure is not None and order.reply_queue is None:
                keeping.keep(connection, [order.kept(f"nobody waits for its failure: {answer.failure}")], time.time())
            return answer


def _outcome(work: Work, order: Order, context: HandlerContext) -> Answer:
    try:
        value = work.run(order.payload, context)
        if context.session is not None:
            context.session.flush()
        return Answer(value)
    except _CELERY_OWN:
        raise
    except Exception as error:
        if is_bad_weather(error):
            raise
        transient = isinstance(error, (TransientError, *work.transient))
        logger.info("%s of saga %s failed: %s", order.task, order.saga_id, error)
        kind = FailureKind.TRANSIENT if transient else FailureKind.REFUSED
        raise _Refusal(Answer(failure=Failure.of(error), kind=kind)) from error


def participant_of(app: Celery) -> Participant:
    """The participant that a Celery app was made for."""
    participant: Participant | None = getattr(app, _ATTRIBUTE, None)
    if participant is None:
        raise ConfigurationError(f"no participant is attached to the Celery app {app.main!r}; call create_participant")
    return participant
