"""One measured run of a peer: its arguments, the sagas started and awaited, and the figures printed as JSON."""

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from create_order import EXPECTED_REPORTS, Mode
from reports import Reports, UnexpectedReport
from worker_processes import WorkerDied, WorkerProcesses, cpu_seconds, peak_memory_mib, worker_processes

NONE = "none"
SECONDS_TO_GET_READY = 60.0
SECONDS_BETWEEN_LOOKS = 1.0

StartSaga = Callable[[int], object]


class TimedOut(Exception):
    """The workers did not get ready, or the sagas did not end, in time."""


class Unsupported(Exception):
    """The peer cannot run as it was asked to."""


def arguments(peer: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=peer, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--broker", default=NONE, help="amqp://..., redis+socket:///... or none")
    parser.add_argument("--database", default=NONE, help="postgresql+psycopg://..., sqlite:///... or none")
    parser.add_argument("--pattern", choices=("flood", "alone"), default="flood")
    parser.add_argument("--sagas", type=int, required=True)
    parser.add_argument("--mode", type=Mode, choices=tuple(Mode), default=Mode.FORWARD)
    parser.add_argument("--warm-up", type=int, default=50)
    parser.add_argument("--time-out", type=float, default=300.0, help="seconds until the sagas must have ended")
    return parser


class MeasuredRun:
    """What the script of a peer works with: it starts its workers here, then calls `measure`."""

    def __init__(self, options: argparse.Namespace, folder: Path, workers: WorkerProcesses) -> None:
        self.options = options
        self.folder = folder
        self.workers = workers
        self.reports = Reports(folder, EXPECTED_REPORTS[options.mode])

    def measure(self, start: StartSaga) -> "Measurement":
        """Sagas are numbered from 1; the first ones warm up."""
        self._wait(lambda: self.workers.names <= self.reports.ready, SECONDS_TO_GET_READY, "the workers to get ready")
        warm_up = self.options.warm_up
        self._run(start, range(1, warm_up + 1))
        measured = range(warm_up + 1, warm_up + self.options.sagas + 1)
        processes = self.workers.identifiers()
        cpu_before = _cpu_of(processes)
        started_at = self._run(start, measured)
        cpu_after = _cpu_of(processes)
        ended_at = [self.reports.ended_at[saga_id] for saga_id in measured]
        return Measurement(
            seconds=max(ended_at) - started_at[0],
            latencies=[ended - started for started, ended in zip(started_at, ended_at, strict=True)],
            cpu_seconds=cpu_after - cpu_before,
            peak_memory_mib={name: peak_memory_mib(identifier) for name, identifier in processes.items()},
        )

    def _run(self, start: StartSaga, saga_ids: range) -> list[float]:
        started_at = []
        for saga_id in saga_ids:
            started_at.append(time.time())
            start(saga_id)
            if self.options.pattern == "alone":
                self._wait_for_sagas(range(saga_id, saga_id + 1))
        self._wait_for_sagas(saga_ids)
        return started_at

    def _wait_for_sagas(self, saga_ids: range) -> None:
        # Sagas are numbered in one row and none before these is still running, so counting them is enough.
        number = saga_ids.stop - 1
        self._wait(lambda: len(self.reports.ended_at) >= number, self.options.time_out, "the sagas to end")

    def _wait(self, condition: Callable[[], bool], seconds: float, awaited: str) -> None:
        deadline = time.monotonic() + seconds
        while not self.reports.wait_for(condition, SECONDS_BETWEEN_LOOKS):
            self.workers.check()
            if time.monotonic() > deadline:
                ended = len(self.reports.ended_at)
                raise TimedOut(f"waited {seconds:.0f} s for {awaited}: {ended} sagas have ended, warm-up included")


@dataclass(frozen=True)
class Measurement:
    seconds: float
    latencies: Sequence[float]
    cpu_seconds: float
    peak_memory_mib: dict[str, float]

    def print(self, peer: str, settings: dict[str, Any]) -> None:
        sagas = len(self.latencies)
        figures = {
            "peer": peer,
            "settings": settings,
            "sagas": sagas,
            "ended_as_expected": sagas,
            "seconds": round(self.seconds, 4),
            "sagas_per_second": round(sagas / self.seconds, 2),
            "latency_ms": {f"p{rank}": round(_percentile(self.latencies, rank) * 1000, 2) for rank in (50, 95, 99)},
            "cpu_seconds_per_saga": round(self.cpu_seconds / sagas, 6),
            "peak_memory_mib": self.peak_memory_mib,
        }
        print(json.dumps(figures))


@contextmanager
def measured_run(options: argparse.Namespace) -> Iterator[MeasuredRun]:
    """Leaves no process and no file behind; what goes wrong is told with the ends of the workers' logs."""
    with tempfile.TemporaryDirectory(prefix="peer-") as name, worker_processes(Path(name)) as workers:
        try:
            yield MeasuredRun(options, Path(name), workers)
        except (TimedOut, UnexpectedReport, WorkerDied) as failure:
            sys.exit(f"{workers.logs()}\n{type(failure).__name__}: {failure}")
        except Unsupported as refusal:
            sys.exit(f"unsupported: {refusal}")


def _cpu_of(processes: dict[str, int]) -> float:
    return sum(cpu_seconds(identifier) for identifier in processes.values())


def _percentile(values: Sequence[float], rank: int) -> float:
    """The nearest rank: a value that was measured, not one in between."""
    return sorted(values)[math.ceil(len(values) * rank / 100) - 1]
