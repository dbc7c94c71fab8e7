"""Several contenders measured in turn, round after round: what disturbs the machine disturbs all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks import figures
from benchmarks.contenders import Contender
from benchmarks.figures import Figures
from benchmarks.peers.environments import PeerFailed
from benchmarks.workload import BenchmarkFailed

Say = Callable[[str], None]


@dataclass
class Measured:
    """What came of one contender."""

    contender: Contender
    runs: list[Figures] = field(default_factory=list)
    left_out: str | None = None
    """Why there are no figures of it, or not all."""
    failed: bool = False


def measure_in_turn(contenders: Sequence[Contender], runs: int, say: Say) -> list[Measured]:
    """One that fails is not measured again; the others go on."""
    measured = [Measured(contender, left_out=contender.missing()) for contender in contenders]
    for one in measured:
        if one.left_out:
            say(f"left out: {one.contender.title}: {one.left_out}")
    for number in range(1, runs + 1):
        for one in measured:
            if one.left_out is None:
                _measure_once(one, f"run {number} of {runs}", say)
    return measured


def _measure_once(one: Measured, which: str, say: Say) -> None:
    try:
        one.runs.append(one.contender.measure())
    except (BenchmarkFailed, PeerFailed) as error:
        one.left_out, one.failed = str(error), True
        say(f"{one.contender.title}, {which}: FAILED: {error}")
    else:
        rate, p50 = one.runs[-1][figures.RATE], one.runs[-1][figures.P50]
        say(f"{one.contender.title}, {which}: {rate:.1f} sagas/s, latency p50 {p50:.1f} ms")
