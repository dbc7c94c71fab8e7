"""The picture as Mermaid text, which GitHub and many editors draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sagas_framework.definition.graph import Definition, Work
from sagas_framework.definition.steps import StepKind
from sagas_framework.drawing.mermaid import label, spoken
from sagas_framework.operations.diagrams.scene import Box, Fold, Part, Split, scene, summary
from sagas_framework.operations.views import StepView

_SHAPES = {
    Work.CHOICE: ("{", "}"),
    Work.DISPATCH: (">", "]"),
    Work.LOCAL: ("(", ")"),
    Work.SIGNAL: ("{{", "}}"),
    Work.SLEEP: ("([", "])"),
}
_COMMAND = ("[", "]")
_CHILD = ("[[", "]]")
_SMALL = ("((", "))")
_SIGNS = {
    "check": "✔",
    "cross": "✖",
    "progress": "▶",
    "ring": "○",
    "skip": "⊘",
    "undo": "↩",
    "undone": "↩",
    "warning": "⚠",
}
_CLASSES = {
    "good": "fill:#e2f3e8,stroke:#17693f,color:#123d26",
    "bad": "fill:#fbe8e5,stroke:#a6261d,color:#5c1510",
    "busy": "fill:#e4eefb,stroke:#1456a8,color:#0d3566",
    "undo": "fill:#faeed3,stroke:#7a4f00,color:#4d3200",
    "alert": "fill:#9b2c0c,stroke:#6d1e07,color:#ffffff",
    "idle": "fill:#f4f4f2,stroke:#8b949c,color:#3a4148",
    "skipped": "fill:#f4f4f2,stroke:#b7bdc3,color:#6b747c,stroke-dasharray:4 3",
    "pivot": "stroke-width:4px",
}


def mermaid(definition: Definition, steps: Mapping[str, StepView] | None = None) -> str:
    """A flowchart; with `steps`, each is marked with how far it is.

    Nodes have numbers for ids, so that any name will do. Of many branches, some are drawn and the others counted: see
    `scene`.
    """
    drawing = _Drawing()
    begin = drawing.node(_SMALL, "begin")
    ends = drawing.sequence(scene(definition, steps), [(begin, "-->")])
    drawing.join(ends, drawing.node(_SMALL, "end"))
    told = spoken(definition.name, summary(definition, steps), "a saga")
    lines = (*told, *drawing.lines, *drawing.class_lines())
    return "\n".join(["flowchart TD", *(f"    {line}" for line in lines), ""])


End = tuple[str, str]
"""A node that something is to come after, and the arrow to it."""


class _Drawing:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self._count = 0
        self._classes: dict[str, list[str]] = {}

    def node(self, shape: tuple[str, str], *lines: str, classes: Sequence[str] = ()) -> str:
        self._count += 1
        name = f"n{self._count}"
        self.lines.append(f"{name}{shape[0]}{label(*lines)}{shape[1]}")
        for each in classes:
            self._classes.setdefault(each, []).append(name)
        return name

    def join(self, ends: Sequence[End], to: str) -> None:
        self.lines += [f"{name} {arrow} {to}" for name, arrow in ends]

    def class_lines(self) -> list[str]:
        """Their looks, and which nodes have them. (No semicolons: Mermaid takes them amiss behind a colour.)"""
        used = [(name, looks) for name, looks in _CLASSES.items() if name in self._classes]
        return [
            line
            for name, looks in used
            for line in (f"classDef {name} {looks}", f"class {','.join(self._classes[name])} {name}")
        ]

    def sequence(self, parts: Sequence[Part], ends: list[End]) -> list[End]:
        for part in parts:
            ends = self._split(part, ends) if isinstance(part, Split) else [(self._single(part, ends), "-->")]
        return ends

    def _single(self, part: Box | Fold, ends: Sequence[End]) -> str:
        name = self._fold(part) if isinstance(part, Fold) else self._box(part)
        self.join(ends, name)
        return name

    def _box(self, box: Box) -> str:
        shape = _CHILD if box.is_child else _SHAPES.get(box.work, _COMMAND)
        state = f"{_SIGNS[box.state.icon]} {box.state.word}" if box.state else ""
        undo = f"↩ {box.undo}" if box.undo else ""
        classes = [box.state.tone] if box.state else []
        if box.kind is StepKind.PIVOT:
            classes.append("pivot")
        return self.node(shape, box.title, *box.facts, undo, state, box.trouble, classes=classes)

    def _fold(self, fold: Fold) -> str:
        return self.node(_COMMAND, f"… and {fold.count} more", *fold.states, classes=["skipped"])

    def _split(self, split: Split, ends: Sequence[End]) -> list[End]:
        if split.gate is None:
            begin = self.node(_SMALL, "all", "fail fast" if split.fail_fast else "")
        else:
            begin = self._box(split.gate)
        self.join(ends, begin)
        met: list[End] = []
        for branch in split.branches:
            line = {None: "-->", True: "==>", False: "-.->"}[branch.taken]
            arrow = f"{line}|{label(branch.label)}|" if branch.label else line
            met += self.sequence(branch.parts, [(begin, arrow)])
        join = self.node(_SMALL)
        self.join(met, join)
        return [(join, "-->")]
