"""The pause before a command is given back: the broker would deliver it again at once, and so for ever."""

from __future__ import annotations

import time
from typing import Any

from celery import signals

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
_SLICE_SECONDS = 0.1


class BackOff:
    """One for each process: it grows while commands are given back, and begins anew once one is answered."""

    def __init__(self) -> None:
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._shutting_down = False
        # Sent from within a signal handler, which must not wait for a lock: hence a mark that is looked at.
        signals.worker_shutting_down.connect(self._shut_down)

    def _shut_down(self, **kwargs: Any) -> None:
        self._shutting_down = True

    def wait(self) -> None:
        """Waits, but not on when the worker is told to stop."""
        left, self._pause_seconds = self._pause_seconds, min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)
        while left > 0 and not self._shutting_down:
            time.sleep(min(left, _SLICE_SECONDS))
            left -= _SLICE_SECONDS

    def reset(self) -> None:
        self._pause_seconds = FIRST_PAUSE_SECONDS
