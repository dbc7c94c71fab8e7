"""How worker processes tell the runner that they are ready and how sagas ended: lines in a named pipe.

One write of less than PIPE_BUF bytes is atomic, so any number of processes and threads may share the pipe. It costs
microseconds, needs no broker, and the time stands in the line: that the runner reads it later changes no figure.
"""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path

from create_order import Report

PIPE_VARIABLE = "PEER_REPORTS"
WORKER_VARIABLE = "PEER_WORKER"


def report_ready() -> None:
    _write(f"ready {os.environ[WORKER_VARIABLE]}")


def report(saga_id: int, what: Report) -> None:
    _write(f"{what} {saga_id} {time.time()}")


def _write(line: str) -> None:
    os.write(_pipe(os.environ[PIPE_VARIABLE]), f"{line}\n".encode())


@cache
def _pipe(path: str) -> int:
    return os.open(path, os.O_WRONLY)


class UnexpectedReport(Exception):
    """A saga ended in another way than its mode says."""


class Reports:
    """What came through the pipe so far. A thread reads it, so that no writer ever waits for a busy runner."""

    def __init__(self, folder: Path, expected: frozenset[Report]) -> None:
        self.path = folder / "reports"
        os.mkfifo(self.path)
        os.environ[PIPE_VARIABLE] = str(self.path)
        self._expected = expected
        self._changed = threading.Condition()
        self._told: dict[int, set[Report]] = defaultdict(set)
        self._unexpected: list[str] = []
        self.ready: set[str] = set()
        self.ended_at: dict[int, float] = {}
        # Open for writing too: else the reader sees the end of the file whenever no worker has it open.
        self._descriptor = os.open(self.path, os.O_RDWR)
        threading.Thread(target=self._read, daemon=True).start()

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Whether the condition holds within so many seconds. Raises when a saga ended in an unexpected way."""
        with self._changed:
            held = self._changed.wait_for(lambda: bool(self._unexpected) or condition(), seconds)
            if self._unexpected:
                raise UnexpectedReport(self._unexpected[0])
            return held

    def _read(self) -> None:
        with open(self._descriptor, encoding="ascii") as lines:
            for line in lines:
                with self._changed:
                    self._note(line.split())
                    self._changed.notify_all()

    def _note(self, words: list[str]) -> None:
        if words[0] == "ready":
            self.ready.add(words[1])
            return
        what, saga_id, at = Report(words[0]), int(words[1]), float(words[2])
        if what not in self._expected:
            self._unexpected.append(f"saga {saga_id}: {what}")
        self._told[saga_id].add(what)
        if self._told[saga_id] >= self._expected:
            self.ended_at.setdefault(saga_id, at)
