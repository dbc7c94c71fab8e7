"""The figures of a run by name, so that systems of every kind are compared by the same code."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

Figures = dict[str, float]

RATE = "sagas_per_second"
SECONDS = "seconds"
STARTS = "starts_per_second"
LATENCY = "latency_p{}_ms"
RANKS = (50, 95, 99)
P50, P95, P99 = (LATENCY.format(rank) for rank in RANKS)
CPU = "cpu_ms_per_saga"
"""Of the processes that run Python: workers and producer."""
CPU_WITH_SERVERS = "cpu_ms_per_saga_with_servers"
MEMORY = "peak_memory_mib"
"""Summed over the same processes."""
COMMITS = "commits_per_saga"
DISK = "disk_bytes_per_saga"
LOG = "log_bytes_per_saga"


def part(figure: str, of: str) -> str:
    """The name of what one group of processes has in a figure."""
    return f"{figure}/{of}"


def latencies(seconds: Sequence[float]) -> Figures:
    return {LATENCY.format(rank): percentile(seconds, rank) * 1000 for rank in RANKS}


def percentile(values: Sequence[float], rank: int) -> float:
    """The nearest rank: a value that was measured, not one in between."""
    return sorted(values)[max(0, math.ceil(len(values) * rank / 100) - 1)]


@dataclass(frozen=True)
class Summary:
    """Several runs of the same."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Summary":
        return cls(statistics.median(values), min(values), max(values))


def ratio(values: Sequence[float], control: Sequence[float]) -> Summary:
    """Of the medians; its range is that of the rounds, in each of which both were measured."""
    rounds = [value / other for value, other in zip(values, control, strict=True)]
    return Summary(statistics.median(values) / statistics.median(control), min(rounds), max(rounds))
