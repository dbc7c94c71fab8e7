"""What Celery itself rejects before any Strategy runs: recorded through its signals, as far as they reach."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from celery import Celery, signals
from sqlalchemy import Engine

from sagas_framework.delivery.kept import kept_of
from sagas_framework.storage import keeping
from sagas_framework.transport.delivery import Delivery

logger = logging.getLogger(__name__)


def keep_what_celery_rejects(
    app: Celery, engine: Engine, take: Callable[[Delivery], bool] = lambda delivery: False
) -> None:
    """Unknown task names and messages that are no tasks are kept for the operator, but for what somebody `take`s."""

    def rejected(sender: Any = None, message: Any = None, exc: Any = None, **kwargs: Any) -> None:
        if getattr(sender, "app", None) is not app or message is None:
            return
        delivery = Delivery(message)
        task = kwargs.get("name")
        not_a_task = f"it is not a task message: {exc or 'no task header'}"
        reason = f"no task {task!r} is registered here" if task else not_a_task
        kept = kept_of(delivery, reason, task=task)
        try:
            if take(delivery):
                return
            with engine.begin() as connection:
                keeping.keep(connection, [kept], time.time())
        except Exception:
            logger.exception("a message that Celery rejected could not be kept: %s", delivery.text()[:1000])

    signals.task_unknown.connect(rejected, weak=False)
    signals.task_rejected.connect(rejected, weak=False)
