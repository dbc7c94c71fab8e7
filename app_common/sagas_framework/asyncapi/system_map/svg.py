"""The map as SVG: services in columns, and between them cards that say what goes from one to the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from sagas_framework.asyncapi.document import Document
from sagas_framework.asyncapi.system_map.cards import Card
from sagas_framework.asyncapi.system_map.columns import Spot
from sagas_framework.asyncapi.system_map.plan import PORT, Line, Plan, plan
from sagas_framework.asyncapi.system_map.reading import system_map
from sagas_framework.drawing.shapes import ARROW_LENGTH, FACT_SIZE, Lines, line, looking, picture, text
from sagas_framework.drawing.style import STYLE
from sagas_framework.drawing.text import width_of

MARGIN = 20
APART = 5  # a command's line is so much above the middle, its answer's so much below
LEGEND = (("", "commands, through the queue above them"), ("reply", "their answers"))
LEGEND_OF_EVENTS = ("event", "events; receipts come back")
HEAD_HEIGHT = 34
LEGEND_HEIGHT = 40
SAMPLE_WIDTH = 44

MAP_STYLE = """
.sd-service .sd-box { stroke-width: 1.5; fill: var(--sd-soft, var(--sd-surface)); }
.sd-card .sd-box { stroke: var(--sd-frame-line); }
.sd-hole .sd-box { stroke: var(--sd-alert-soft); stroke-dasharray: 5 4; }
.sd-events .sd-box { stroke: var(--sd-good); }
.sd-events .sd-message .sd-icon { stroke: var(--sd-good); }
.sd-edge.sd-event { stroke: var(--sd-good); stroke-dasharray: 9 5; }
.sd-head.sd-event { fill: var(--sd-good); }
.sd-disputed .sd-box, .sd-edge.sd-disputed { stroke: var(--sd-bad); }
.sd-head.sd-disputed { fill: var(--sd-bad); }
.sd-why .sd-icon { stroke: var(--sd-bad); }
.sd-message { font-size: 12px; font-weight: 600; }
.sd-lead { fill: var(--sd-quiet); font-weight: 400; }
.sd-queue { fill: var(--sd-idle-soft); }
text.sd-pill { font-size: 11px; font-weight: 600; fill: var(--sd-quiet); }
.sd-reply { stroke-dasharray: 4 3; }
"""


def to_svg(documents: Sequence[Document]) -> str:
    """A file that stands alone, for light and dark."""
    found = system_map(documents)
    legend = (*LEGEND, LEGEND_OF_EVENTS) if found.has_events else LEGEND
    drawing = _Drawing(plan(found), found.summary, legend)
    words = " ".join(found.sentences())
    return picture("The services and their messages", words, drawing.size, drawing.draw(), STYLE + MAP_STYLE)


class _Drawing:
    def __init__(self, whole: Plan, summary: str, legend: Sequence[tuple[str, str]]) -> None:
        self._plan = whole
        self._told_below = legend
        self._summary = summary
        self._top = MARGIN + HEAD_HEIGHT
        below = sum(_legend_width(words) for _, words in legend)
        width = max(whole.width, below, width_of(summary, FACT_SIZE))
        self.size = (width + 2 * MARGIN, self._top + whole.height + LEGEND_HEIGHT + MARGIN)

    def draw(self) -> Lines:
        yield text(self._summary, MARGIN, MARGIN + FACT_SIZE, "fact")
        for each in self._plan.lines:
            yield from self._line(each)
        for card, spot in self._plan.cards:
            yield from card.draw(*self._corner(spot), self._plan.columns[spot.column].width)
        for box, spot in self._plan.boxes:
            yield from box.draw(*self._corner(spot))
        yield from self._legend()

    def _corner(self, spot: Spot) -> tuple[float, float]:
        return MARGIN + self._plan.columns[spot.column].left, self._top + spot.top

    def _line(self, each: Line) -> Lines:
        """The command's, and beside it its answer's."""
        shift = APART if each.card.answered else 0.0
        yield from self._way(each, -shift, points=each.to_receiver, looks=_looks_of(each.card))
        if each.card.answered:
            yield from self._way(each, shift, points=not each.to_receiver, looks="reply")

    def _way(self, each: Line, shift: float, *, points: bool, looks: str = "") -> Lines:
        """From the card to the service; where it points there, the point is drawn."""
        spots = each.spots
        direction = 1 if spots[-1].column > spots[0].column else -1
        path, x, y = "", 0.0, 0.0
        for one, other in pairwise(spots):
            begin, end = self._edge(one, direction), self._edge(other, -direction)
            top, bottom = self._port(each, one, other) + shift, self._port(each, other, one) + shift
            if points and other is spots[-1]:
                end -= direction * (ARROW_LENGTH - 1)
            bend = (begin + end) / 2
            path += f"{'L' if path else 'M'}{begin:g} {top:.1f}"
            path += f"C{bend:g} {top:.1f} {bend:g} {bottom:.1f} {end:g} {bottom:.1f}"
            x, y = end, bottom
        yield line(path, looks)
        if points:
            yield _head(x - direction, y, direction, looks)

    def _edge(self, spot: Spot, side: int) -> float:
        column = self._plan.columns[spot.column]
        return MARGIN + column.left + (column.width if side > 0 else 0)

    def _port(self, each: Line, spot: Spot, other: Spot) -> float:
        """Where a line leaves a spot for another one: one line below the other, in the order of where they go.

        What a service sends to itself goes twice between the same two: first out, and below that back."""
        ends = spot.beside(other.column - spot.column)
        at = ends.index(other) + (each.to_receiver and ends.count(other) > 1)
        return self._top + spot.middle + PORT * (at - (len(ends) - 1) / 2)

    def _legend(self) -> Lines:
        left, y = float(MARGIN), self.size[1] - MARGIN
        for looks, words in self._told_below:
            yield line(f"M{left:g} {y - 4:g}h{SAMPLE_WIDTH - ARROW_LENGTH}", looks)
            yield _head(left + SAMPLE_WIDTH - ARROW_LENGTH, y - 4, 1, looks)
            yield text(words, left + SAMPLE_WIDTH + 10, y, "fact")
            left += _legend_width(words)


def _looks_of(card: Card) -> str:
    return " ".join((["event"] if card.are_events else []) + (["disputed"] if card.disputed else []))


def _head(x: float, y: float, direction: int, looks: str) -> str:
    return f'<path{looking("head", *looks.split())} d="M{x:g} {y - 4.5:.1f}v9l{direction * ARROW_LENGTH} -4.5z"/>'


def _legend_width(words: str) -> float:
    return SAMPLE_WIDTH + 10 + width_of(words, FACT_SIZE) + 28
