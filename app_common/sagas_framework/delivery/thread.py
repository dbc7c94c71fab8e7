"""A worker's delivery threads: one a chore, so that a chore in trouble holds up no other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from celery import Celery, bootsteps

from sagas_framework.errors import PublishFailed, in_one_line
from sagas_framework.storage.weather import is_bad_weather

logger = logging.getLogger(__name__)

Chore = Callable[[], float]
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 5.0
STOP_TIMEOUT_SECONDS = 10.0


class DeliveryThread(threading.Thread):
    """Runs a chore (a round of work that says how long it may sleep) until it is stopped. Nothing it raises ends it."""

    def __init__(self, chore: Chore) -> None:
        super().__init__(name=f"sagas-{type(chore).__name__}", daemon=True)
        self._chore = chore
        self._stopping = threading.Event()
        self._backoff_seconds = FIRST_BACKOFF_SECONDS

    def run(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(self._round())

    def stop(self) -> None:
        self._stopping.set()

    def _round(self) -> float:
        try:
            pause = self._chore()
        except BaseException as error:  # a SystemExit of an application's function would end the thread without a word
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
    """Adds the threads to every worker of the app, as a bootstep; `chores` is called when the worker starts."""

    class Delivery(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        def __init__(self, parent: Any, **kwargs: Any) -> None:
            self._threads: list[DeliveryThread] = []
            super().__init__(parent, **kwargs)

        def start(self, parent: Any) -> None:
            self._threads = [DeliveryThread(chore) for chore in chores()]
            for thread in self._threads:
                thread.start()

        def stop(self, parent: Any) -> None:
            for thread in self._threads:
                thread.stop()
            for thread in self._threads:
                thread.join(STOP_TIMEOUT_SECONDS)

        terminate = stop

    app.steps["worker"].add(Delivery)
