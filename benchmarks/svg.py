"""Small charts as SVG: text and lines only, readable on light and on dark ground."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH = 820
FONT_SIZE = 13
COLOURS = ("#2f7ed8", "#d9822b", "#3d9970", "#b05fc4", "#c0564b", "#7f8c3c")
PLAIN, STRONG = 1, 0

# A page may be dark and its pictures are not told: each follows what the reader's system prefers.
STYLE = f"""
text {{ font: {FONT_SIZE}px system-ui, sans-serif; fill: #24292f }}
.title {{ font-weight: 600 }}
.grid {{ stroke: #8c959f; stroke-opacity: .35 }}
.axis, .range {{ stroke: #57606a }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3 }} .axis, .range {{ stroke: #adbac7 }} }}
"""

TITLE_HEIGHT = 34
AXIS_HEIGHT = 46
ROW_HEIGHT = 30
BAR_HEIGHT = 16
LABEL_WIDTH = 300
VALUE_WIDTH = 130
PLOT_HEIGHT = 240
LEFT_MARGIN = 70
LEGEND_WIDTH = 190
TICKS = 5
# What it takes to tell a mark from the frame above it.
HEADROOM = 1.05


@dataclass(frozen=True)
class Bar:
    label: str
    value: float
    low: float
    high: float
    note: str
    is_strong: bool = False


@dataclass(frozen=True)
class Line:
    label: str
    points: Sequence[tuple[float, float]]
    is_dashed: bool = False


def bars(title: str, axis: str, rows: Sequence[Bar]) -> str:
    """Horizontal bars from 0, with the range of the runs as a line, and a note behind each."""
    width = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    ticks = _ticks(max(row.high for row in rows))
    bottom = TITLE_HEIGHT + ROW_HEIGHT * len(rows)

    def x(value: float) -> float:
        return LABEL_WIDTH + width * value / ticks[-1]

    parts = [_text(8, 20, title, "start", "title")]
    for tick in ticks:
        parts.append(_line(x(tick), TITLE_HEIGHT, x(tick), bottom, "grid"))
        parts.append(_text(x(tick), bottom + 16, _number(tick), "middle"))
    parts.append(_text(LABEL_WIDTH + width / 2, bottom + 36, axis, "middle"))
    for number, row in enumerate(rows):
        middle = TITLE_HEIGHT + ROW_HEIGHT * (number + 0.5)
        colour = COLOURS[STRONG if row.is_strong else PLAIN]
        parts.append(_text(LABEL_WIDTH - 8, middle + 5, row.label, "end"))
        parts.append(
            f'<rect x="{LABEL_WIDTH}" y="{middle - BAR_HEIGHT / 2:.1f}" width="{x(row.value) - LABEL_WIDTH:.1f}" '
            f'height="{BAR_HEIGHT}" fill="{colour}"/>'
        )
        parts.append(_line(x(row.low), middle, x(row.high), middle, "range"))
        parts.append(_text(x(row.high) + 6, middle + 5, row.note, "start"))
    parts.append(_line(LABEL_WIDTH, TITLE_HEIGHT, LABEL_WIDTH, bottom, "axis"))
    return _document(bottom + AXIS_HEIGHT, title, parts)


def lines(title: str, x_axis: str, y_axis: str, series: Sequence[Line]) -> str:
    """Lines over a common x, both axes from 0, with the names of the lines at the right."""
    right, bottom = WIDTH - LEGEND_WIDTH, TITLE_HEIGHT + PLOT_HEIGHT
    x_ticks = _ticks(max(x for line in series for x, _ in line.points))
    y_ticks = _ticks(max(y for line in series for _, y in line.points))

    def place(point: tuple[float, float]) -> tuple[float, float]:
        x, y = point
        return LEFT_MARGIN + (right - LEFT_MARGIN) * x / x_ticks[-1], bottom - PLOT_HEIGHT * y / y_ticks[-1]

    parts = [_text(8, 20, title, "start", "title"), *_frame(place, x_ticks, y_ticks, right, bottom)]
    parts.append(_text((LEFT_MARGIN + right) / 2, bottom + 36, x_axis, "middle"))
    turned = f'transform="rotate(-90 16 {TITLE_HEIGHT + PLOT_HEIGHT / 2:.0f})"'
    parts.append(_text(16, TITLE_HEIGHT + PLOT_HEIGHT / 2, y_axis, "middle", extra=turned))
    for number, line in enumerate(series):
        parts.extend(_series(line, COLOURS[number % len(COLOURS)], place, right, TITLE_HEIGHT + 12 + 22 * number))
    return _document(bottom + AXIS_HEIGHT, title, parts)


Place = Callable[[tuple[float, float]], tuple[float, float]]


def _frame(
    place: Place, x_ticks: Sequence[float], y_ticks: Sequence[float], right: float, bottom: float
) -> Iterator[str]:
    for tick in x_ticks:
        x, _ = place((tick, 0))
        yield _text(x, bottom + 16, _number(tick), "middle")
    for tick in y_ticks:
        _, y = place((0, tick))
        yield _line(LEFT_MARGIN, y, right, y, "grid")
        yield _text(LEFT_MARGIN - 8, y + 4, _number(tick), "end")
    yield _line(LEFT_MARGIN, bottom, right, bottom, "axis")


def _series(line: Line, colour: str, place: Place, legend_x: float, legend_y: float) -> Iterator[str]:
    placed = [place(point) for point in line.points]
    dashes = ' stroke-dasharray="6 4"' if line.is_dashed else ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'
    if not line.is_dashed:
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in placed)
    yield f'<path d="M{legend_x + 12:.0f} {legend_y:.0f}h22" stroke="{colour}" stroke-width="3"{dashes}/>'
    yield _text(legend_x + 40, legend_y + 4, line.label, "start")


def _ticks(highest: float) -> list[float]:
    """From 0 to a round number that is not below the highest value."""
    if highest <= 0:
        return [0.0, 1.0]
    raw = highest * HEADROOM / TICKS
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= raw)
    return [step * number for number in range(math.ceil(highest * HEADROOM / step) + 1)]


def _number(value: float) -> str:
    return f"{value:,.10g}"


def _text(x: float, y: float, words: str, anchor: str, kind: str = "", extra: str = "") -> str:
    attributes = " ".join(filter(None, [f'text-anchor="{anchor}"', f'class="{kind}"' if kind else "", extra]))
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<path class="{kind}" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def _document(height: float, title: str, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", *parts, "</svg>"]) + "\n"
