"""Before Celery decodes a command: what cannot be read is kept for the operator instead of being thrown away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from celery.worker.strategy import default
from sqlalchemy import Engine

from sagas_framework.delivery.kept import kept_of
from sagas_framework.storage import keeping
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.wire import Unreadable, read_arguments

logger = logging.getLogger(__name__)


_MARK = "__sagas_command__"


def mark_as_command(run: Callable[..., None]) -> None:
    """What a task runs bears the mark, for the application declares the task itself; functools.wraps carries it on."""
    setattr(run, _MARK, True)


class Intake:
    """`strategy` stands in for Celery's default one, and hands it every command that can be read.

    The application's ordinary tasks are none of its business: their arguments are theirs.
    """

    def __init__(self, engine: Engine | None) -> None:
        self._engine = engine

    def strategy(self, task: Any, app: Any, consumer: Any) -> Callable[..., None]:
        run: Callable[..., None] = default(task, app, consumer)
        if not getattr(task.run, _MARK, False):
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
