"""The picture as SVG: sequences downward, branches side by side, in a layout of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sagas_framework.definition.graph import Definition
from sagas_framework.drawing.shapes import FACT_SIZE, Lines, Shape, line, looking, picture, text, widest
from sagas_framework.drawing.style import STYLE
from sagas_framework.drawing.text import width_of
from sagas_framework.operations.diagrams.scene import Box, Branch, Fold, Part, Split, scene, summary
from sagas_framework.operations.diagrams.shapes import arrow, box_shape, fold_shape, gate_shape, label_shape
from sagas_framework.operations.views import StepView

MARGIN = 12
STEP_GAP = 26  # between what follows one another: room for an arrow
BRANCH_GAP = 18
FRAME_INSET = 16
FRAME_HEAD = 30
RAIL = 18  # from a gate to where its branches part, and from there to their labels
MOST_ROW_WIDTH = 1040
"""Branches that need more than this stand in several rows: a wide picture is read in pieces."""
DOT = 7


def svg(definition: Definition, steps: Mapping[str, StepView] | None = None, *, inline: bool = False) -> str:
    """The picture; with `steps`, each is marked with how far it is.

    A file carries its style sheet. `inline` leaves it away: a page whose security policy refuses styles in its midst
    serves `STYLE` beside it. Of many branches, some are drawn and the others counted: see `scene`.
    """
    whole = _sequence([_begin(), *(_shape(part) for part in scene(definition, steps)), _end()])
    size = (whole.width + 2 * MARGIN, whole.height + 2 * MARGIN)
    content = whole.draw(MARGIN, MARGIN)
    return picture(definition.name, summary(definition, steps), size, content, None if inline else STYLE)


def _shape(part: Part) -> Shape:
    if isinstance(part, Box):
        return box_shape(part)
    if isinstance(part, Fold):
        return fold_shape(part)
    return _frame(part) if part.gate is None else _choice(part, part.gate)


def _begin() -> Shape:
    def draw(left: float, top: float) -> Lines:
        yield f'<circle{looking("dot")} cx="{left + DOT:g}" cy="{top + DOT:g}" r="{DOT}"/>'

    return Shape(2 * DOT, 2 * DOT, draw)


def _end() -> Shape:
    def draw(left: float, top: float) -> Lines:
        x, y = left + DOT, top + DOT
        yield f'<circle{looking("ring")} cx="{x:g}" cy="{y:g}" r="{DOT}"/>'
        yield f'<circle{looking("dot")} cx="{x:g}" cy="{y:g}" r="4"/>'

    return Shape(2 * DOT, 2 * DOT, draw)


def _sequence(shapes: Sequence[Shape], looks: str = "") -> Shape:
    """One below the other, with arrows."""
    width = widest(shapes)
    height = sum(shape.height for shape in shapes) + STEP_GAP * max(len(shapes) - 1, 0)

    def draw(left: float, top: float) -> Lines:
        for number, shape in enumerate(shapes):
            if number:
                yield from arrow(left + width / 2, top, top + STEP_GAP, looks)
                top += STEP_GAP
            yield from shape.draw(left + (width - shape.width) / 2, top)
            top += shape.height

    return Shape(width, height, draw)


def _branch(branch: Branch) -> Shape:
    return _sequence([_shape(part) for part in branch.parts])


# ---- side by side ------------------------------------------------------------------------------------------------


def _frame(split: Split) -> Shape:
    """A parallel: a frame that holds its branches, in as many rows as they need."""
    what = f"{split.of} branches side by side" if split.of > 1 else "1 branch"
    rule = "nothing new begins when one fails" if split.fail_fast else "all finish, even when one fails"
    head = f"{what}; {rule}" if split.of > 1 else what
    rows = _rows([_branch(branch) for branch in split.branches])
    inner = max(*(_row_width(row) for row in rows), width_of(head, FACT_SIZE))
    heights = [max(shape.height for shape in row) for row in rows]
    width = inner + 2 * FRAME_INSET
    height = FRAME_HEAD + sum(heights) + BRANCH_GAP * (len(rows) - 1) + FRAME_INSET

    def draw(left: float, top: float) -> Lines:
        yield f'<rect{looking("frame")} x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="12"/>'
        yield text(head, left + FRAME_INSET, top + 19, "fact")
        top += FRAME_HEAD
        for row, row_height in zip(rows, heights, strict=True):
            x = left + FRAME_INSET
            for shape in row:
                yield from shape.draw(x, top)
                x += shape.width + BRANCH_GAP
            top += row_height + BRANCH_GAP

    return Shape(width, height, draw)


def _rows(shapes: Sequence[Shape]) -> list[list[Shape]]:
    rows: list[list[Shape]] = [[]]
    for shape in shapes:
        if rows[-1] and _row_width([*rows[-1], shape]) > MOST_ROW_WIDTH:
            rows.append([])
        rows[-1].append(shape)
    return rows


def _row_width(row: Sequence[Shape]) -> float:
    return sum(shape.width for shape in row) + BRANCH_GAP * (len(row) - 1)


# ---- one or the other --------------------------------------------------------------------------------------------


_EDGES = {None: "", True: "taken", False: "untaken"}


def _choice(split: Split, question: Box) -> Shape:
    """A rhombus from which the branches part; below them they meet."""
    gate = gate_shape(question)
    columns = [_labelled(branch) for branch in split.branches]
    depth = max(column.height for column in columns)
    across = _row_width(columns)
    width = max(across, gate.width)
    height = gate.height + RAIL + depth + RAIL

    def draw(left: float, top: float) -> Lines:
        middle = left + width / 2
        parting = top + gate.height + RAIL
        meeting = parting + depth
        x = left + (width - across) / 2
        taken_last = sorted(
            zip(split.branches, _lefts(columns, x), columns, strict=True), key=lambda each: each[0].taken is True
        )
        for branch, at, column in taken_last:
            looks = _EDGES[branch.taken]
            center = at + column.width / 2
            yield line(f"M{middle:g} {top + gate.height:g}V{parting - RAIL / 2:g}H{center:g}V{parting:g}", looks)
            yield line(
                f"M{center:g} {parting + column.height:g}V{meeting + RAIL / 2:g}H{middle:g}V{meeting + RAIL:g}", looks
            )
            yield from column.draw(at, parting)
        yield from gate.draw(middle - gate.width / 2, top)

    return Shape(width, height, draw)


def _lefts(columns: Sequence[Shape], left: float) -> list[float]:
    lefts = []
    for column in columns:
        lefts.append(left)
        left += column.width + BRANCH_GAP
    return lefts


def _labelled(branch: Branch) -> Shape:
    if not branch.label:
        return _branch(branch)
    label = label_shape(branch.label, branch.taken is True)
    return _sequence([label, *(_shape(part) for part in branch.parts)], _EDGES[branch.taken])
