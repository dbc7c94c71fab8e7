"""What the simulation is told: what batches and messages cost, and what was measured to compare it with."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.workload import BenchmarkFailed

MEASURED = Path(__file__).with_name("simulation_costs.json")
PRODUCER, ORCHESTRATOR = "producer", "orchestrator"
WORKERS = (PRODUCER, ORCHESTRATOR, "consumer", "restaurant", "accounting")


@dataclass(frozen=True)
class BatchCost:
    """Of a worker's own CPU and of the database server's: what a batch costs however small, and what a message adds."""

    batch_cpu_ms: float
    message_cpu_ms: float
    batch_database_ms: float
    message_database_ms: float


@dataclass(frozen=True)
class Costs:
    """`simulation_costs.json` says of each how it is known."""

    stations: Mapping[str, BatchCost]
    wake_ms: float
    """CPU of a worker, a batch: in process it is warm and has no loop and no sockets; so with the servers."""
    receive_ms: float
    """CPU of a worker, a message."""
    publish_ms: float
    """CPU of a worker, a message."""
    database_wake_ms: float
    """CPU of the database server, a batch."""
    broker_wake_ms: float
    """CPU of one of the broker's processes, each time it takes what is there."""
    connection_ms: float
    """CPU of the broker's process for a connection, a message, on its way in and once more on its way out."""
    queue_ms: float
    """CPU of the broker's one process for a queue, a message."""
    commit_ms: float
    """Waiting for the disk, a batch."""
    confirm_ms: float
    """Waiting for the broker when it has done its work, a batch."""
    network_ms: float
    """Waiting, a round trip between machines."""
    round_trips: float
    """To the database, a batch."""


@dataclass(frozen=True)
class Check:
    """A figure that was measured on one machine, and the run in which it was."""

    what: str
    measured: float
    sagas: int
    cores: int = 2
    orchestrators: int = 1
    together: int = 25
    rate: float | None = None
    figure: str = figures.RATE


def read(changes: Path | None = None) -> tuple[Costs, Sequence[Check]]:
    """What was measured here; a file of the same form may change some of it."""
    told = json.loads(MEASURED.read_text())
    if changes is not None:
        _change(told, json.loads(changes.read_text()), changes)
    stations = {name: BatchCost(**_numbers(told["stations"][name])) for name in WORKERS}
    others = {name: entry["value"] for name, entry in told["others"].items()}
    return Costs(stations, **others), [Check(**check) for check in told["checks"]]


def _change(told: dict[str, Any], changes: Mapping[str, Any], file: Path) -> None:
    for name, change in changes.items():
        if name not in told:
            raise BenchmarkFailed(f"{file}: there is no {name!r}; there are {', '.join(told)}")
        if isinstance(told[name], dict) and isinstance(change, dict):
            _change(told[name], change, file)
        else:
            told[name] = change


def _numbers(entry: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in entry.items() if name != "how"}
