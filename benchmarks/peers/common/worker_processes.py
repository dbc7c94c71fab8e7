"""The worker processes of one run: started, watched through /proc, and all stopped whatever happens."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from reports import WORKER_VARIABLE

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
SECONDS_TO_STOP = 10.0
LOG_TAIL = 1500


class WorkerDied(Exception):
    """A worker process ended while it was needed."""


@dataclass(frozen=True)
class Worker:
    name: str
    process: subprocess.Popen[bytes]
    log: Path


class WorkerProcesses:
    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._workers: list[Worker] = []

    @property
    def names(self) -> set[str]:
        return {worker.name for worker in self._workers}

    def start(self, name: str, command: Sequence[str], **environment: str) -> None:
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, WORKER_VARIABLE: name, **environment},
            )
        self._workers.append(Worker(name, process, log))

    def check(self) -> None:
        for worker in self._workers:
            if worker.process.poll() is not None:
                raise WorkerDied(f"worker {worker.name} ended with {worker.process.returncode}")

    def logs(self) -> str:
        return "\n".join(f"--- {worker.name}\n{_tail(worker.log)}" for worker in self._workers)

    def identifiers(self) -> dict[str, int]:
        """This process, the workers and their children, by name."""
        named = {"producer": os.getpid()}
        children = _children()
        for worker in self._workers:
            named[worker.name] = worker.process.pid
            for number, child in enumerate(_descendants(worker.process.pid, children), start=1):
                named[f"{worker.name}/{number}"] = child
        return named

    def stop(self) -> None:
        families = [(worker, _descendants(worker.process.pid, _children())) for worker in self._workers]
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + SECONDS_TO_STOP
        for worker, descendants in families:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            _kill(descendants)


@contextmanager
def worker_processes(logs: Path) -> Iterator[WorkerProcesses]:
    # Both must unwind the stack: SIGTERM would kill at once, and SIGINT is ignored by what a script started with "&".
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    workers = WorkerProcesses(logs)
    try:
        yield workers
    finally:
        workers.stop()


def cpu_seconds(identifier: int) -> float:
    user, system = _stat(identifier)[11:13]
    return (int(user) + int(system)) / TICKS_PER_SECOND


def peak_memory_mib(identifier: int) -> float:
    for line in Path(f"/proc/{identifier}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise LookupError(f"process {identifier} has no VmHWM")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-LOG_TAIL:]


def _stat(identifier: int) -> list[str]:
    """The fields after the name of the command, which stands in parentheses and may hold spaces."""
    return Path(f"/proc/{identifier}/stat").read_text().rpartition(")")[2].split()


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parent = int(_stat(int(entry.name))[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    return children


def _descendants(identifier: int, children: dict[int, list[int]]) -> list[int]:
    found = sorted(children.get(identifier, []))
    for child in list(found):
        found += _descendants(child, children)
    return found


def _kill(identifiers: Sequence[int]) -> None:
    for identifier in identifiers:
        with suppress(ProcessLookupError):
            os.kill(identifier, signal.SIGKILL)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
