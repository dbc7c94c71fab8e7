"""The pieces of the SVG: boxes, gates, labels and arrows. Each is entered in the middle of its top and left in the
middle of its bottom."""

from __future__ import annotations

from sagas_framework.definition.steps import StepKind
from sagas_framework.drawing.shapes import (
    ARROW_LENGTH,
    BOLD,
    FACT_SIZE,
    MARK_HEIGHT,
    NAME_SIZE,
    Lines,
    Shape,
    icon,
    line,
    looking,
    mark,
    text,
    title,
)
from sagas_framework.drawing.text import cut, in_lines, width_of
from sagas_framework.operations.diagrams.scene import KINDS, Box, Fold

BOX_WIDTH = 244
INSET = 12  # from a box's edge to what it says
TEXT_WIDTH = BOX_WIDTH - 2 * INSET
MARK_WORD_WIDTH = TEXT_WIDTH - 32
NAME_HEIGHT = 26
FACT_HEIGHT = 16
GATE_WIDTH, GATE_HEIGHT = 244, 84
GATE_TEXT_WIDTH = 128
LABEL_HEIGHT = 22


def box_shape(box: Box) -> Shape:
    facts = [(fact, "fact strong" if fact == KINDS[StepKind.PIVOT] else "fact") for fact in box.facts]
    if box.trouble:
        facts.append((box.trouble, "why"))
    rows = len(facts) + (box.undo is not None)
    height = INSET + NAME_HEIGHT - 6 + rows * FACT_HEIGHT + (MARK_HEIGHT + 5 if box.state else 0) + INSET - 4

    def draw(left: float, top: float) -> Lines:
        classes = ["step", *([box.state.tone] if box.state else []), *(["pivot"] if box.kind is StepKind.PIVOT else [])]
        yield f'<g{looking(*classes)} transform="translate({left:g} {top:g})">{title(_whole(box))}'
        yield f'<rect{looking("box")} width="{BOX_WIDTH}" height="{height:g}" rx="9"/>'
        if box.is_child:
            yield f'<path{looking("inner")} d="M5.5 3v{height - 6:g}M{BOX_WIDTH - 5.5} 3v{height - 6:g}"/>'
        yield icon("child" if box.is_child else box.work.value, INSET, INSET - 2)
        y = INSET + NAME_SIZE - 1.5
        yield text(cut(box.title, NAME_SIZE * BOLD, TEXT_WIDTH - 22), INSET + 22, y, "name")
        y += 4
        for fact, looks in facts:
            y += FACT_HEIGHT
            yield text(cut(fact, FACT_SIZE, TEXT_WIDTH), INSET, y, looks)
        if box.undo is not None:
            y += FACT_HEIGHT
            yield icon("undo", INSET, y - 9, 11)
            yield text(cut(box.undo, FACT_SIZE, TEXT_WIDTH - 16), INSET + 16, y, "fact")
        if box.state:
            yield from mark(box.state.icon, box.state.word, INSET, y + 8, MARK_WORD_WIDTH)
        yield "</g>"

    return Shape(BOX_WIDTH, height, draw)


def gate_shape(box: Box) -> Shape:
    """The question of a choice: a rhombus. Once it is answered its branches say how; before, it says how far it is."""
    state = None if box.state and box.state.tone == "good" else box.state
    most = 1 if state else 3
    lines = in_lines(box.title, NAME_SIZE * BOLD, GATE_TEXT_WIDTH, most)
    x, y = GATE_WIDTH / 2, GATE_HEIGHT / 2

    def draw(left: float, top: float) -> Lines:
        tone = [box.state.tone] if box.state else []
        yield f'<g{looking("step", *tone)} transform="translate({left:g} {top:g})">{title(_whole(box))}'
        yield f'<path{looking("gate")} d="M{x:g} 0 {GATE_WIDTH} {y:g} {x:g} {GATE_HEIGHT} 0 {y:g}z"/>'
        first = y + 4.5 - (len(lines) - 1) * 8 - (11 if state else 0)
        for number, words in enumerate(lines):
            yield text(words, x, first + number * 16, "name middle")
        if state:
            left_of_mark = x - (width_of(state.word, FACT_SIZE * BOLD) + 32) / 2
            yield from mark(state.icon, state.word, left_of_mark, y + 3, MARK_WORD_WIDTH)
        yield "</g>"

    return Shape(GATE_WIDTH, GATE_HEIGHT, draw)


def fold_shape(fold: Fold) -> Shape:
    rows = [cut(state, FACT_SIZE, TEXT_WIDTH) for state in fold.states]
    height = 2 * INSET + NAME_SIZE + len(rows) * FACT_HEIGHT

    def draw(left: float, top: float) -> Lines:
        yield f'<g{looking("fold")} transform="translate({left:g} {top:g})">{title("branches that are not drawn")}'
        yield f'<rect{looking("box")} width="{BOX_WIDTH}" height="{height:g}" rx="9"/>'
        yield text(f"… and {fold.count} more", BOX_WIDTH / 2, INSET + NAME_SIZE - 2, "name middle")
        for number, row in enumerate(rows, 1):
            yield text(row, BOX_WIDTH / 2, INSET + NAME_SIZE + number * FACT_HEIGHT, "fact middle")
        yield "</g>"

    return Shape(BOX_WIDTH, height, draw)


def label_shape(label: str, chosen: bool) -> Shape:
    """What a branch of a choice is called."""
    shown = cut(label, FACT_SIZE * BOLD, TEXT_WIDTH)
    width = width_of(shown, FACT_SIZE * BOLD) + (38 if chosen else 20)

    def draw(left: float, top: float) -> Lines:
        yield f'<g transform="translate({left:g} {top:g})">{title(label + (" (chosen)" if chosen else ""))}'
        looks = looking("label", "chosen") if chosen else looking("label")
        yield f'<rect{looks} width="{width:g}" height="{LABEL_HEIGHT}" rx="{LABEL_HEIGHT / 2:g}"/>'
        if chosen:
            yield icon("check", 9, 5.5, 11)
        looks = "fact strong middle" if chosen else "fact middle"
        yield text(shown, width / 2 + (8 if chosen else 0), 15, looks) + "</g>"

    return Shape(width, LABEL_HEIGHT, draw)


def arrow(x: float, top: float, bottom: float, looks: str = "") -> Lines:
    """Downward, its point at the bottom."""
    yield line(f"M{x:g} {top:g}V{bottom - ARROW_LENGTH + 1:g}", looks)
    yield f'<path{looking("head")} d="M{x - 4.5:g} {bottom - ARROW_LENGTH:g}h9l-4.5 {ARROW_LENGTH}z"/>'


def _whole(box: Box) -> str:
    """What the box could not hold."""
    kind = f" ({KINDS[box.kind]})" if box.kind in KINDS and KINDS[box.kind] not in box.facts else ""
    undo = [f"undone by: {box.undo}"] if box.undo else []
    state = [box.state.word] if box.state else []
    return "\n".join([box.name + kind, *box.facts, *undo, *state, *filter(None, [box.trouble])])
