"""Before Celery decodes a command: what cannot be read is kept for the operator instead of being thrown away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from celery.worker.strategy import default
from sqlalchemy import Engine

from sagas_framework.delivery.kept import kept_of
from sagas_framework.errors import ConfigurationError
from sagas_framework.storage import keeping
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.wire import Unreadable, read_arguments
from sagas_framework.vocabulary.command import AnyCommand

logger = logging.getLogger(__name__)


_MARK = "__sagas_command__"


@dataclass(frozen=True)
class Taken:
    """What a task does. `command` is None where its handler does not say which; `reply_queue` serves for a command
    that names none."""

    command: AnyCommand | None = None
    reply_queue: str | None = None


def mark_as_command(run: Callable[..., None], taken: Taken) -> None:
    """What a task runs bears the mark, for the application declares the task itself; functools.wraps carries it on."""
    setattr(run, _MARK, taken)


def taken_by(task: Any) -> Taken | None:
    """None: it is an ordinary task of the application's."""
    taken: Taken | None = getattr(task.run, _MARK, None)
    command = None if taken is None else taken.command
    if command is None:
        return taken
    if command.name != task.name:
        raise ConfigurationError(
            f"the task {task.name!r} does the command {command.name!r} ({command.place}): give them one name"
        )
    consumed = {queue.name for queue in task.app.conf.task_queues or ()}
    if command.queue not in consumed:
        raise ConfigurationError(
            f"the task {task.name!r} does a command that is sent to {command.queue!r} ({command.place}), but its "
            f"worker consumes {', '.join(sorted(consumed))}: it would never be called"
        )
    return taken


class Intake:
    """`strategy` stands in for Celery's default one, and hands it every command that can be read.

    The application's ordinary tasks are none of its business: their arguments are theirs.
    """

    def __init__(self, engine: Engine | None) -> None:
        self._engine = engine

    def strategy(self, task: Any, app: Any, consumer: Any) -> Callable[..., None]:
        run: Callable[..., None] = default(task, app, consumer)
        if taken_by(task) is None:
            return run

        def receive(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any) -> None:
            delivery = Delivery(message)
            try:
                read_arguments(delivery.body, delivery.content_type)
            except Unreadable as error:
                self._set_aside(delivery, str(error), consumer.connection_errors)
            else:
                run(message, body, ack, reject, callbacks)

        return receive

    def _set_aside(self, delivery: Delivery, reason: str, errors: tuple[type[BaseException], ...]) -> None:
        logger.warning("kept for the operator: %s %s: %s", delivery.task, delivery.message_id, reason)
        if self._engine is not None:
            kept = kept_of(delivery, reason)
            try:
                with self._engine.begin() as connection:
                    keeping.keep(connection, [kept], time.time())
            except Exception:
                logger.exception("%s could not be kept; it is given back", delivery.message_id)
                delivery.give_back(errors)
                return
        delivery.acknowledge(errors)
