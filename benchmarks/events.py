"""Programs that wait for each other, for a processor or for time, run by a clock of their own: no thread, no chance."""

import heapq
from collections import deque
from collections.abc import Callable, Generator, Iterable
from itertools import count
from typing import Any

Resume = Callable[[Any], None]
Step = Callable[[Resume], None]
Program = Generator[Step, Any, None]
"""Yields what it waits for, and gets what came of it."""


def start(program: Program) -> None:
    def resume(value: Any) -> None:
        try:
            step = program.send(value)
        except StopIteration:
            return
        step(resume)

    resume(None)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def at(self, moment: float, then: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), then))

    def wait(self, milliseconds: float) -> Step:
        return lambda resume: self.at(self.now + milliseconds, lambda: resume(None))

    def run(self, programs: Iterable[Program]) -> None:
        for program in programs:
            start(program)
        while self._events:
            self.now, _, then = heapq.heappop(self._events)
            then()


class Machine:
    """Its cores are shared evenly: `_share` is what each of those that work has had since the beginning."""

    def __init__(self, clock: Clock, cores: int) -> None:
        self.cores = cores
        self.used_ms = 0.0
        self._clock = clock
        self._share = self._seen = 0.0
        self._working: list[tuple[float, int, Resume]] = []
        self._numbers = count()
        self._plan = 0

    def work(self, milliseconds: float) -> Step:
        def step(resume: Resume) -> None:
            self._catch_up()
            heapq.heappush(self._working, (self._share + milliseconds, next(self._numbers), resume))
            self.used_ms += milliseconds
            self._plan_next()

        return step

    def _speed(self) -> float:
        return min(1.0, self.cores / len(self._working))

    def _catch_up(self) -> None:
        if self._working:
            self._share += (self._clock.now - self._seen) * self._speed()
        self._seen = self._clock.now

    def _plan_next(self) -> None:
        self._plan += 1  # whatever was planned before is void
        if self._working:
            plan, left = self._plan, max(0.0, self._working[0][0] - self._share)
            self._clock.at(self._clock.now + left / self._speed(), lambda: self._finish(plan))

    def _finish(self, plan: int) -> None:
        if plan == self._plan:
            self._catch_up()
            _, _, resume = heapq.heappop(self._working)
            self._plan_next()
            resume(None)


class Line:
    """Whose one reader takes what is there, up to so many, or waits for the first."""

    def __init__(self) -> None:
        self._waiting: deque[Any] = deque()
        self._reader: tuple[int, Resume] | None = None

    def put(self, items: Iterable[Any]) -> None:
        self._waiting.extend(items)
        if self._reader is not None and self._waiting:
            (most, resume), self._reader = self._reader, None
            resume(self._taken(most))

    def take(self, most: int) -> Step:
        def step(resume: Resume) -> None:
            if self._waiting:
                resume(self._taken(most))
            else:
                self._reader = most, resume

        return step

    def _taken(self, most: int) -> list[Any]:
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
