"""A session: contenders measured in turn, round after round, so that what disturbs the machine disturbs all of them."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from benchmarks import figures
from benchmarks.contenders import Contender, Theirs
from benchmarks.figures import Figures
from benchmarks.peers.environments import PeerFailed
from benchmarks.workload import BenchmarkFailed

Say = Callable[[str], None]


@dataclass(frozen=True)
class Target:
    """What the project has promised of a session."""

    sentence: str
    contender: str
    figure: str
    against: tuple[str, ...]
    """Whose best median the contender's is divided by."""
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True)
class Session:
    name: str
    title: str
    contenders: tuple[Contender, ...]
    control: str
    """The name of the contender to which all figures are given as ratios."""
    targets: tuple[Target, ...] = ()

    def quick(self) -> "Session":
        """The same with a handful of sagas: to see that it works, never for a figure."""
        return replace(self, contenders=tuple(replace(one, load=one.load.quick()) for one in self.contenders))


@dataclass
class Measured:
    """What came of one contender."""

    contender: Contender
    runs: list[Figures] = field(default_factory=list)
    left_out: str | None = None
    """Why there are no figures of it, or not all."""
    failed: bool = False

    def as_json(self) -> dict[str, Any]:
        contender = self.contender
        return {
            "name": contender.name,
            "title": contender.title,
            "peer": contender.peer if isinstance(contender, Theirs) else None,
            "broker": contender.broker,
            "database": contender.database,
            "load": asdict(contender.load),
            "runs": self.runs,
            "left_out": self.left_out,
            "failed": self.failed,
        }


def measure(session: Session, runs: int, say: Say) -> dict[str, Any]:
    """What the results file keeps of the session. A contender that fails is not measured again; the others go on."""
    say(f"\n== {session.title}")
    measured = [Measured(contender, left_out=contender.missing()) for contender in session.contenders]
    for one in measured:
        if one.left_out:
            say(f"{one.contender.title}: left out: {one.left_out}")
    with ExitStack() as stack:
        for one in measured:
            if one.left_out is None:
                stack.enter_context(one.contender.kept())
        for number in range(1, runs + 1):
            for one in measured:
                if one.left_out is None:
                    _measure_once(one, f"run {number} of {runs}", say)
    return {
        "name": session.name,
        "title": session.title,
        "control": session.control,
        "targets": [asdict(target) for target in session.targets],
        "contenders": [one.as_json() for one in measured],
    }


def _measure_once(one: Measured, which: str, say: Say) -> None:
    try:
        one.runs.append(one.contender.measure())
    except (BenchmarkFailed, PeerFailed) as error:
        one.left_out, one.failed = str(error), True
        say(f"{one.contender.title}, {which}: FAILED: {error}")
    else:
        rate, p50 = one.runs[-1][figures.RATE], one.runs[-1][figures.P50]
        say(f"{one.contender.title}, {which}: {rate:.1f} sagas/s, latency p50 {p50:.1f} ms")


def chosen(sessions: Sequence[Session], names: Sequence[str]) -> list[Session]:
    """Those of these names, or all when none is given."""
    unknown = set(names) - {session.name for session in sessions}
    if unknown:
        known = ", ".join(session.name for session in sessions)
        raise BenchmarkFailed(f"there is no session {', '.join(sorted(unknown))}; there are {known}")
    return [session for session in sessions if not names or session.name in names]
