"""What is asked of a system in one run: how many sagas, how they arrive, and how they end."""

from dataclasses import dataclass, replace
from enum import StrEnum

BATCH = 25
WARM_UP = 50
QUICK_SAGAS = 40
QUICK_WARM_UP = 10


class BenchmarkFailed(Exception):
    """A run did not do what it was to measure, or cannot be made here."""


class Pattern(StrEnum):
    FLOOD = "flood"
    """As fast as one producer can."""
    STEADY = "steady"
    """So many a second, each in a transaction of its own, whether or not the system keeps up."""
    ALONE = "alone"
    """The next one when the last one has ended."""


class Mode(StrEnum):
    FORWARD = "forward"
    COMPENSATING = "compensating"


@dataclass(frozen=True)
class Load:
    pattern: Pattern
    sagas: int
    mode: Mode = Mode.FORWARD
    batch: int = BATCH
    """Sagas started in one transaction; of a flood only."""
    rate: float = 0.0
    """Sagas started per second; of a steady arrival only."""
    warm_up: int = WARM_UP

    def __post_init__(self) -> None:
        if self.pattern is Pattern.STEADY and self.rate <= 0:
            raise BenchmarkFailed("a steady arrival needs a rate above 0")
        if self.sagas < 1 or self.batch < 1:
            raise BenchmarkFailed("a run needs at least one saga, and so does a batch")

    @property
    def placed(self) -> int:
        """All orders of the run: the measured ones, those of the warm-up, and one alone at its end."""
        return self.sagas + self.warm_up + 1

    def quick(self) -> "Load":
        return replace(self, sagas=min(self.sagas, QUICK_SAGAS), warm_up=min(self.warm_up, QUICK_WARM_UP))


@dataclass(frozen=True)
class Produced:
    """What the producer tells of its part."""

    began_at: float
    ended_at: float
    cpu_seconds: float
    looks: int
    """Transactions that only asked whether a saga had ended: none of the system's own."""
