"""A participant: runs a handler behind the barrier, remembers, answers, and only then lets Celery acknowledge."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from types import ModuleType
from typing import Any

from celery import Celery, Task
from celery.exceptions import Ignore, Reject, Retry
from sqlalchemy import Engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from sagas_framework.delivery.after_commit import PUBLISH_TIMEOUT_SECONDS
from sagas_framework.delivery.suspects import Suspects, Verdict
from sagas_framework.errors import ConfigurationError, PublishFailed, in_one_line
from sagas_framework.events.publishing import Announcer
from sagas_framework.participant.answers import Answers
from sagas_framework.participant.back_off import BackOff
from sagas_framework.participant.barrier import Answer
from sagas_framework.participant.commands import CommandBatches, park
from sagas_framework.participant.gate import Gate
from sagas_framework.participant.handlers import Marked, Work, encode_undeclared, marked_in, work_of
from sagas_framework.participant.in_hand import InHand
from sagas_framework.participant.intake import Intake, Taken, mark_as_command, taken_by
from sagas_framework.participant.later import LaterAnswers
from sagas_framework.participant.order import Order, ReturnAddress, order_of_task
from sagas_framework.storage.weather import is_bad_weather
from sagas_framework.transport.celery_app import Broker
from sagas_framework.transport.inbox import Inbox
from sagas_framework.transport.publisher import Publisher
from sagas_framework.vocabulary.command import Failure
from sagas_framework.vocabulary.event import AnyEvent

logger = logging.getLogger(__name__)

WEATHER_RETRY_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""How long a handler's work waits for a deadlock, a lock or a lost database to pass before it is given back."""

_ATTRIBUTE = "sagas_participant"  # of the Celery app: where a task finds its participant

NO_EVENTS: Mapping[str, AnyEvent] = {}

CELERY_OWN = (Retry, Ignore, Reject)
"""What a handler that Celery runs may raise to speak to Celery itself."""


class Participant:
    """Build it with `create_participant`.

    `app` is the Celery app of its worker; `engine` its database (None: a duplicate runs its handler twice);
    `sessions` makes sessions on it.
    """

    def __init__(
        self,
        name: str,
        app: Celery,
        broker: Broker,
        engine: Engine | None,
        publishes: Mapping[str, AnyEvent] = NO_EVENTS,
    ) -> None:
        self.name = name
        self.app = app
        self.broker = broker
        self.engine = engine
        self.publishes = publishes
        self._announcer = Announcer(Publisher(app, broker, PUBLISH_TIMEOUT_SECONDS), publishes)
        self._works: dict[str, Work] = {}
        self._publisher = Publisher(app, broker)
        self._announce = self._announcer.announce if publishes else None
        self._answers = Answers(engine, CELERY_OWN, self._announce)
        self._later_answers = LaterAnswers(Publisher(app, broker, PUBLISH_TIMEOUT_SECONDS))
        self._gate = Gate()
        self._in_hand = InHand()
        self._suspects = Suspects(engine)
        self._back_off = BackOff()
        app.Task.Strategy = Intake(engine).strategy
        setattr(app, _ATTRIBUTE, self)

    @property
    def sessions(self) -> sessionmaker[Session]:
        if self.engine is None:
            raise ConfigurationError(f"participant {self.name!r} has no database to make sessions on")
        return sessionmaker(self.engine)

    def takes(self) -> list[Taken]:
        """All that its handlers do, in either form."""
        found = {name: Taken(work.command) for name, work in self._works.items()}
        for name, task in sorted(self.app.tasks.items()):
            taken = taken_by(task)
            if taken is None:
                continue
            if taken.command is None:
                raise ConfigurationError(
                    f"the task {name!r} of participant {self.name!r} does not say which command it does; write "
                    "saga_step_handler(..., command=...)"
                )
            found[name] = taken
        return list(found.values())

    def register(self, module: ModuleType) -> None:
        """Registers every `@handles` function of a module as a Celery task, which takes one command at a time."""
        for function, marked in marked_in(module):
            self._register(self._work_of(function, marked), function)

    def register_in_batches(self, modules: Sequence[ModuleType]) -> None:
        """Registers their `@handles` functions, all of them database-only, to be run many in one transaction."""
        if self.engine is None:
            raise ConfigurationError(f"participant {self.name!r} has no database for its handlers to be run in batches")
        inbox = Inbox(CommandBatches(self.engine, self._publisher, self._works, self._announce).handle)
        for module in modules:
            for function, marked in marked_in(module):
                inbox.register(self.app, self._work_of(function, marked).task, function)

    def _work_of(self, function: Callable[..., Any], marked: Marked) -> Work:
        work = work_of(function, marked)
        self._works[work.task] = work
        return work

    def _register(self, work: Work, function: Callable[..., Any]) -> None:
        def task_body(task: Task, saga_id: Any, payload: Any) -> None:
            self.perform(task, saga_id, payload, work)

        update_wrapper(task_body, function, assigned=("__doc__",), updated=())
        mark_as_command(task_body, Taken(work.command))
        self.app.task(bind=True, name=work.task)(task_body)

    # ---- events -----------------------------------------------------------------------------------------------

    def publish(self, event: Any, *, session: Session | scoped_session[Any]) -> None:
        """Publishes an event in the session's transaction: the caller's rows and the event, or neither."""
        self._announcer.announce(event, session)

    # ---- answers that come later ------------------------------------------------------------------------------

    def answer(self, token: str, response: Any = None, *, session: Session | scoped_session[Any]) -> None:
        """Answers the step whose handler returned ANSWER_LATER, in the session's transaction: the caller's rows and
        the answer, or neither.

        `token` is what the handler read from `step.token`; `response` is what it would have returned. The reply leaves
        just after the commit, or when the orchestrator asks again. Raises AnswerRefused for a step that is unknown,
        answered already or compensated meanwhile, and PayloadRefused for a response that the command does not declare;
        the transaction can go on after either. In a process that was not given the command's handler it raises
        ConfigurationError.

        Call it before writing rows that the step's compensation writes as well: that takes the step first too, and
        whoever does it the other way round may meet a deadlock.
        """
        self._answer_later(token, lambda address: Answer(self._encoded(address, response)), session)

    def refuse(self, token: str, reason: Exception | Failure, *, session: Session | scoped_session[Any]) -> None:
        """Fails the step whose handler returned ANSWER_LATER, as if the handler had raised this; else like `answer`.

        With a TransientError the orchestrator asks again by the step's retry policy, and the handler runs once more.
        """
        failure = reason if isinstance(reason, Failure) else Failure.of(reason)
        self._answer_later(token, lambda address: Answer(failure=failure), session)

    def _answer_later(
        self, token: str, answer_to: Callable[[ReturnAddress], Answer], session: Session | scoped_session[Any]
    ) -> None:
        if self.engine is None:
            raise ConfigurationError(
                f"participant {self.name!r} has no database: none of its steps waits for an answer"
            )
        self._later_answers.give(token, answer_to, session() if isinstance(session, scoped_session) else session)

    def _encoded(self, address: ReturnAddress, response: Any) -> Any:
        work = self._works.get(address.task)
        if work is not None:
            return work.encode(response)
        if address.declared:  # a wrong response would be remembered, and refused by the orchestrator for ever
            raise ConfigurationError(
                f"participant {self.name!r} does not know the command {address.task!r} in this process, and cannot "
                "tell whether the answer is right; give its create_participant handlers=[...]"
            )
        return encode_undeclared(address.task, response)

    # ---- one command ------------------------------------------------------------------------------------------

    def perform(self, task: Task, saga_id: Any, payload: Any, work: Work) -> None:
        """Does a command once, answers it, and returns so that Celery acknowledges it.

        Whatever prevents an answer (the database or the broker is away) gives the command back to the broker.
        """
        order = order_of_task(task, saga_id, payload, work)
        # What Celery's own Retry has sent bears the same id, and may arrive before the handler that raised it is left.
        command = (order.task, order.message_id, str(order.retries))
        with self._in_hand.hold(command, order.redelivered) as ours:
            if ours:
                self._perform(order)
            else:
                logger.info("%s of saga %s is being done already", order.task, saga_id)

    def _perform(self, order: Order) -> None:
        try:
            verdict = self._suspects.verdicts([order])[0]
            if verdict is Verdict.POISON:
                self._park(order)
            else:
                with self._gate.alone() if verdict is Verdict.ALONE else self._gate.together():
                    self._suspects.count([order])
                    self._send(order, self._answer(order))
        except CELERY_OWN:
            self._suspects.clear([order])
            raise
        except Exception as error:
            if isinstance(error, PublishFailed) or is_bad_weather(error):
                self._suspects.clear([order])
            else:  # it counts like a killed worker: what can never be answered must not come back for ever
                logger.exception("%s of saga %s could not be answered", order.task, order.saga_id)
            logger.warning("%s of saga %s is given back: %s", order.task, order.saga_id, in_one_line(error))
            self._back_off.wait()  # outside the gate: what can be answered goes on
            raise Reject(in_one_line(error), requeue=True) from error
        self._back_off.reset()
        self._suspects.clear([order])

    def _park(self, order: Order) -> None:
        assert self.engine is not None  # without a database nothing was counted
        with self.engine.begin() as connection:
            park(connection, order)

    def _send(self, order: Order, answer: Answer | None) -> None:
        reply = None if answer is None else order.address.reply(answer)
        if reply is not None:
            self._publisher.publish([reply])

    def _answer(self, order: Order) -> Answer | None:
        for pause in WEATHER_RETRY_SECONDS:
            try:
                return self._answers.to([order])[0]
            except Exception as error:
                if isinstance(error, CELERY_OWN) or not is_bad_weather(error):
                    raise
                logger.warning("%s of saga %s: %s; again in %.2f s", order.task, order.saga_id, error, pause)
                time.sleep(pause)
        return self._answers.to([order])[0]


def participant_of(app: Celery) -> Participant:
    """The participant that a Celery app was made for."""
    participant: Participant | None = getattr(app, _ATTRIBUTE, None)
    if participant is None:
        raise ConfigurationError(f"no participant is attached to the Celery app {app.main!r}; call create_participant")
    return participant
