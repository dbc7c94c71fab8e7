"""The results file: what was measured, and what follows from it."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import ground
from benchmarks.figures import Summary, ratio
from benchmarks.sessions import Target

RESULTS = ground.STATE / "results"


@dataclass(frozen=True)
class Judgement:
    target: Target
    against: str
    """The title of the best one compared with."""
    ratio: Summary

    @property
    def is_met(self) -> bool:
        at_least = self.target.at_least is None or self.ratio.median >= self.target.at_least
        at_most = self.target.at_most is None or self.ratio.median <= self.target.at_most
        return at_least and at_most


@dataclass(frozen=True)
class Entry:
    """One contender of a session."""

    name: str
    title: str
    peer: str | None
    broker: str
    database: str
    load: dict[str, Any]
    runs: list[dict[str, float]]
    left_out: str | None
    failed: bool

    def values(self, figure: str) -> list[float]:
        """One a run; none when any run failed, or when this contender has no such figure."""
        if self.failed or not all(figure in run for run in self.runs):
            return []
        return [run[figure] for run in self.runs]

    def summary(self, figure: str) -> Summary | None:
        values = self.values(figure)
        return Summary.of(values) if values else None


@dataclass(frozen=True)
class SessionResult:
    name: str
    title: str
    control: str
    entries: tuple[Entry, ...]
    targets: tuple[Target, ...]

    @classmethod
    def of(cls, told: dict[str, Any]) -> "SessionResult":
        targets = tuple(Target(**{**target, "against": tuple(target["against"])}) for target in told["targets"])
        entries = tuple(Entry(**entry) for entry in told["contenders"])
        return cls(told["name"], told["title"], told["control"], entries, targets)

    def entry(self, name: str) -> Entry:
        return next(entry for entry in self.entries if entry.name == name)

    def measured(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.runs and not entry.failed]

    def ratio(self, name: str, figure: str, to: str | None = None) -> Summary | None:
        """A contender's figure as a multiple of another one's, by default the control's."""
        values, control = self.entry(name).values(figure), self.entry(to or self.control).values(figure)
        return ratio(values, control) if values and control else None

    def judgements(self) -> Iterator[Judgement]:
        """Of those targets of which both sides were measured."""
        for target in self.targets:
            found = [(other, self.ratio(target.contender, target.figure, other)) for other in target.against]
            ratios = [(other, found_ratio) for other, found_ratio in found if found_ratio is not None]
            if ratios:
                # Against the best of them the ratio is worst: the lowest where more is better, else the highest.
                worst = min if target.at_least is not None else max
                other, its_ratio = worst(ratios, key=lambda pair: pair[1].median)
                yield Judgement(target, self.entry(other).title, its_ratio)


@dataclass(frozen=True)
class Results:
    made_at: str
    machine: dict[str, str]
    runs: int
    is_quick: bool
    sessions: tuple[SessionResult, ...]
    memory: tuple[dict[str, float], ...]

    @property
    def has_failed(self) -> bool:
        return any(entry.failed for session in self.sessions for entry in session.entries)


def load(path: Path) -> Results:
    told = json.loads(path.read_text())
    return Results(
        made_at=told["made_at"],
        machine=told["machine"],
        runs=told["runs"],
        is_quick=told["is_quick"],
        sessions=tuple(map(SessionResult.of, told["sessions"])),
        memory=tuple(told["memory"]),
    )


class ResultsFile:
    """Written anew after each session, so that an interrupted suite has what it measured."""

    def __init__(self, runs: int, *, is_quick: bool, path: Path | None = None) -> None:
        made_at = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime())
        self.path = path or RESULTS / f"{made_at}.json"
        self._told: dict[str, Any] = {
            "made_at": made_at,
            "machine": ground.machine(),
            "runs": runs,
            "is_quick": is_quick,
            "sessions": [],
            "memory": [],
        }

    def add_session(self, session: dict[str, Any]) -> None:
        self._told["sessions"].append(session)
        self._write()

    def add_memory(self, points: Sequence[dict[str, float]]) -> None:
        self._told["memory"] = list(points)
        self._write()

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self._told, indent=1) + "\n")
