"""A worker's delivery thread: chores, each a round of work that says how long it may sleep."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from celery import Celery, bootsteps

from sagas_framework.errors import PublishFailed, in_one_line
from sagas_framework.storage.database import is_bad_weather

logger = logging.getLogger(__name__)

Chore = Callable[[], float]
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 5.0
STOP_TIMEOUT_SECONDS = 10.0


class DeliveryThread(threading.Thread):
    """Runs the chores until it is stopped. Nothing that a chore raises ends it."""

    def __init__(self, chores: Sequence[Chore]) -> None:
        super().__init__(name="sagas-delivery", daemon=True)
        self._chores = chores
        self._stopping = threading.Event()
        self._backoff_seconds = FIRST_BACKOFF_SECONDS

    def run(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(self._round())

    def stop(self) -> None:
        self._stopping.set()
        if self.is_alive():
            self.join(STOP_TIMEOUT_SECONDS)

    def _round(self) -> float:
        try:
            pause = min(chore() for chore in self._chores)
        except Exception as error:
            pause = self._backoff_seconds
            self._backoff_seconds = min(pause * 2, LONGEST_BACKOFF_SECONDS)
            if isinstance(error, PublishFailed) or is_bad_weather(error):
                logger.warning("delivery waits %.1f s: %s", pause, in_one_line(error))
            else:
                logger.exception("delivery failed; it tries again in %.1f s", pause)
            return pause
        self._backoff_seconds = FIRST_BACKOFF_SECONDS
        return pause


def run_in_workers(app: Celery, chores: Callable[[], Sequence[Chore]]) -> None:
    """Adds the thread to every worker of the app, as a bootstep; `chores` is called when the worker starts."""

    class Delivery(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        def __init__(self, parent: Any, **kwargs: Any) -> None:
            self._thread: DeliveryThread | None = None
            super().__init__(parent, **kwargs)

        def start(self, parent: Any) -> None:
            self._thread = DeliveryThread(chores())
            self._thread.start()

        def stop(self, parent: Any) -> None:
            if self._thread is not None:
                self._thread.stop()

        terminate = stop

    app.steps["worker"].add(Delivery)
