"""Where things stand that are joined by lines: in columns, so that few lines cross and most run straight.

Services and what goes between them stand in turns: services in the even columns, in the odd ones the cards that say
what is sent. Lines join neighbouring columns only; one that goes further is given a lane through those between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

SWEEPS = 8


@dataclass(eq=False)
class Spot:
    """Room in a column. Where its middle is, is found out by `arrange`."""

    column: int
    gap: float  # to those above and below; between two, half of each counts
    height: float = 0.0
    middle: float = 0.0
    neighbours: list[Spot] = field(default_factory=list)

    @property
    def top(self) -> float:
        return self.middle - self.height / 2

    def join(self, other: Spot) -> None:
        self.neighbours.append(other)
        other.neighbours.append(self)

    def beside(self, side: int) -> list[Spot]:
        """Its neighbours to the left (-1) or to the right (1), from top to bottom."""
        return sorted((each for each in self.neighbours if each.column == self.column + side), key=_middle)


def _middle(spot: Spot) -> float:
    return spot.middle


def levels(count: int, sent: Collection[tuple[int, int]]) -> list[int]:
    """How far each of the numbered services stands from those that begin it all.

    Two that speak to each other are never on one level. Where they go round in circles, whoever sends most begins.
    """
    sent = [(sender, receiver) for sender, receiver in sent if sender != receiver]
    level = [0] * count
    waiting = set(range(count))
    placed: set[int] = set()
    while waiting:
        number = min(waiting, key=lambda each: _precedence(each, sent, waiting))
        others = {a + b - number for a, b in sent if number in (a, b)} & placed
        level[number] = 1 + max((level[other] for other in others), default=-1)
        waiting.remove(number)
        placed.add(number)
    return level


def _precedence(number: int, sent: Collection[tuple[int, int]], among: Collection[int]) -> tuple[int, int, int]:
    incoming = sum(receiver == number and sender in among for sender, receiver in sent)
    outgoing = sum(sender == number and receiver in among for sender, receiver in sent)
    return incoming, -outgoing, number


def two_sided(level: Sequence[int], sent: Mapping[tuple[int, int], float], most: float) -> list[int]:
    """The levels, some of them negative: to the left of those that begin it all.

    Only where one side would be higher than `most`. What hangs together without those in the middle stays on one side.
    """
    groups = _groups([number for number, at in enumerate(level) if at > 0], sent)
    heights = [sum(height for pair, height in sent.items() if group & {*pair}) for group in groups]
    if sum(heights) <= most:
        return [*level]
    sides, signed = {1: 0.0, -1: 0.0}, [*level]
    for height, group in sorted(zip(heights, groups, strict=True), key=lambda each: (-each[0], min(each[1]))):
        side = 1 if sides[1] <= sides[-1] else -1
        sides[side] += height
        for number in group:
            signed[number] *= side
    return signed


def _groups(numbers: Iterable[int], sent: Iterable[tuple[int, int]]) -> list[set[int]]:
    groups = [{number} for number in numbers]
    for sender, receiver in sent:
        ends = [group for group in groups if group & {sender, receiver}]
        if len(ends) == 2 and ends[0] is not ends[1]:
            ends[0] |= ends[1]
            groups.remove(ends[1])
    return groups


# ---- up and down --------------------------------------------------------------------------------------------------


def arrange(spots: Iterable[Spot]) -> None:
    """Gives every spot its place; the highest one begins at 0."""
    columns: dict[int, list[Spot]] = {}
    for spot in spots:
        columns.setdefault(spot.column, []).append(spot)
    ordered = [columns[number] for number in sorted(columns)]
    for column in ordered:
        _stack(column)
    _untangle(ordered)
    for _ in range(SWEEPS):
        for column in (*ordered, *reversed(ordered)):
            _settle(column)
    highest = min((spot.top for column in ordered for spot in column), default=0.0)
    for column in ordered:
        for spot in column:
            spot.middle -= highest


def _stack(column: Sequence[Spot]) -> None:
    """One below the other, their middle at 0."""
    offsets = _offsets(column)
    for spot, offset in zip(column, offsets, strict=True):
        spot.middle = offset - offsets[-1] / 2


def _offsets(column: Sequence[Spot]) -> list[float]:
    """How far their middles are from that of the first one, as close together as they may stand."""
    offsets = [0.0]
    for above, below in pairwise(column):
        offsets.append(offsets[-1] + (above.height + above.gap + below.height + below.gap) / 2)
    return offsets


def _untangle(columns: Sequence[list[Spot]]) -> None:
    """Each spot near its neighbours, now of one side, now of the other; the best of all orders that come of it."""
    best = [[*column] for column in columns]
    fewest = _crossings(columns)
    for sweep in range(SWEEPS):
        side = 1 if sweep % 2 else -1
        for column in columns if side < 0 else reversed(columns):
            column.sort(key=lambda spot: _mean(spot.beside(side), spot.middle))
            _stack(column)
        if (crossings := _crossings(columns)) < fewest:
            best, fewest = [[*column] for column in columns], crossings
    for column, order in zip(columns, best, strict=True):
        column[:] = order
        _stack(column)


def _crossings(columns: Sequence[Sequence[Spot]]) -> int:
    crossings = 0
    for column in columns:
        lines = [(spot.middle, other.middle) for spot in column for other in spot.beside(1)]
        crossings += sum((a - c) * (b - d) < 0 for number, (a, b) in enumerate(lines) for c, d in lines[:number])
    return crossings


def _mean(spots: Sequence[Spot], otherwise: float) -> float:
    return sum(map(_middle, spots)) / len(spots) if spots else otherwise


def _settle(column: Sequence[Spot]) -> None:
    """As near to their neighbours as their order and the gaps allow (least squares: pooling adjacent violators)."""
    pools: list[tuple[float, int]] = []  # mean of the wishes, how many
    offsets = _offsets(column)
    for spot, offset in zip(column, offsets, strict=True):
        wish, count = _mean(spot.neighbours, spot.middle) - offset, 1
        while pools and pools[-1][0] > wish:
            above, many = pools.pop()
            wish, count = (above * many + wish * count) / (many + count), many + count
        pools.append((wish, count))
    places = [wish for wish, count in pools for _ in range(count)]
    for spot, place, offset in zip(column, places, offsets, strict=True):
        spot.middle = place + offset
