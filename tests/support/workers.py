"""Celery workers as real processes, to be killed and started again by a test."""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from local_stack.plan import CHECKOUT, in_this_interpreter

READY_SECONDS = 60.0


class Workers:
    """Workers are named by the module that holds their app, with `#2` and so on for a second one of it."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        self.environment = dict(environment)
        self._logs = logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def command(self, worker: str) -> list[str]:
        return ["celery", "--app", worker.partition("#")[0], "worker", "--loglevel", "INFO"]

    def start(
        self,
        worker: str,
        *,
        wait: bool = True,
        extra: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        log = self._log(worker)
        seen = self.times_ready(worker)
        with log.open("ab") as output:
            self._processes[worker] = subprocess.Popen(
                in_this_interpreter([*self.command(worker), *options]),
                cwd=CHECKOUT,
                env={**self.environment, **(extra or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        if wait:
            self.wait_until(lambda: self.times_ready(worker) > seen, READY_SECONDS, lambda: self.log(worker))

    def start_all(self, workers: Sequence[str]) -> None:
        """Starts them side by side and waits until all are ready."""
        before = {worker: self.times_ready(worker) for worker in workers}
        for worker in workers:
            self.start(worker, wait=False)
        for worker in workers:
            self.wait_until(
                lambda worker=worker: self.times_ready(worker) > before[worker],  # type: ignore[misc]
                READY_SECONDS,
                lambda worker=worker: self.log(worker),  # type: ignore[misc]
            )

    def kill(self, worker: str) -> None:
        process = self._processes.pop(worker)
        process.kill()
        process.wait()

    def stop_all(self, timeout_seconds: float = 60.0) -> dict[str, int]:
        """A warm shutdown of every worker at the same time; gives how they ended."""
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        ended = {worker: process.wait(timeout_seconds) for worker, process in self._processes.items()}
        self._processes.clear()
        return ended

    def stop(self, worker: str, timeout_seconds: float = 30.0) -> int:
        process = self._processes.pop(worker)
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout_seconds)

    def wait_for_death(self, worker: str, timeout_seconds: float = READY_SECONDS) -> int:
        return self._processes.pop(worker).wait(timeout_seconds)

    def times_ready(self, worker: str) -> int:
        """How often the worker has been ready: it may have been started before."""
        return self.log(worker).count(" ready.") if self._log(worker).exists() else 0

    def process_ids(self) -> dict[str, int]:
        return {worker: process.pid for worker, process in self._processes.items()}

    def is_alive(self, worker: str) -> bool:
        return worker in self._processes and self._processes[worker].poll() is None

    def kill_all(self) -> None:
        for worker in list(self._processes):
            self.kill(worker)

    def all_logs(self) -> str:
        return "".join(f"\n--- {worker}\n{self.log(worker)[-3000:]}" for worker in self._processes)

    def log(self, worker: str) -> str:
        return self._log(worker).read_text()

    def _log(self, worker: str) -> Path:
        return self._logs / f"{worker}.log"

    @staticmethod
    def wait_until(condition: Callable[[], bool], timeout_seconds: float, explain: Callable[[], str]) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            assert time.monotonic() < deadline, explain()
            time.sleep(0.05)
