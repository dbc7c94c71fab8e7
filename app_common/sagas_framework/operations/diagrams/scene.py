"""What is drawn, before it has a form: boxes in sequence, and splits into branches.

Of more than 30 branches 20 are drawn, those with trouble first and otherwise in their order; the others are folded
into one box, "… and 980 more", that counts how far they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from sagas_framework.definition.graph import Definition, Fork, Node, Outline, Undo, Work
from sagas_framework.definition.steps import Sleep, StepKind
from sagas_framework.definition.structure import ChildStep
from sagas_framework.operations.trace import undo_names
from sagas_framework.operations.views import StepView
from sagas_framework.operations.words import clock, reason_of
from sagas_framework.vocabulary.text import printable

MOST_BRANCHES = 30
BRANCHES_BESIDE_A_FOLD = 20

KINDS = {StepKind.PIVOT: "point of no return", StepKind.RETRIABLE: "retried, never undone"}

_PHASES = {
    "waiting": ("idle", "ring"),
    "acting": ("busy", "progress"),
    "confirming": ("busy", "progress"),
    "done": ("good", "check"),
    "failed": ("bad", "cross"),
    "unknown": ("alert", "warning"),
    "undoing": ("undo", "undo"),
    "undone": ("undo", "undone"),
    "skipped": ("skipped", "skip"),
}
_MOST_TELLING_FIRST = ("alert", "bad", "undo", "busy", "idle", "good", "skipped")


@dataclass(frozen=True)
class State:
    """How far a step is: a word, and the tone and the icon that go with it."""

    word: str
    tone: str
    icon: str

    @property
    def rank(self) -> int:
        return _MOST_TELLING_FIRST.index(self.tone)


@dataclass(frozen=True)
class Box:
    """One step, or the question of a choice."""

    name: str
    title: str
    work: Work
    kind: StepKind
    is_child: bool
    facts: tuple[str, ...]
    undo: str | None
    state: State | None
    trouble: str  # why it failed


@dataclass(frozen=True)
class Fold:
    """What stands for the branches that are not drawn."""

    count: int
    states: tuple[str, ...]  # "7 failed"


@dataclass(frozen=True)
class Branch:
    parts: tuple[Part, ...]
    label: str = ""
    taken: bool | None = None  # of a choice that has been made


@dataclass(frozen=True)
class Split:
    """Branches: side by side, or, where there is a gate, one or the other."""

    gate: Box | None
    branches: tuple[Branch, ...]
    of: int  # how many there are, drawn or not
    fail_fast: bool


Part = Box | Fold | Split


def scene(definition: Definition, steps: Mapping[str, StepView] | None) -> tuple[Part, ...]:
    return _Scene(definition, steps).parts(definition.outline)


def summary(definition: Definition, steps: Mapping[str, StepView] | None) -> str:
    """The picture in one sentence, for those who do not see it."""
    names = [node.name for node in definition.nodes.values() if not node.is_join]
    many = f"{len(names)} steps" if len(names) != 1 else "1 step"
    known = [steps[name].state for name in names if name in steps] if steps else []
    told = ", ".join(_counted(known))
    return f"{many}: {told}." if told else f"{many}."


def _counted(words: Sequence[str]) -> list[str]:
    return [f"{count} {word}" for word, count in Counter(words).items()]


def state_of(step: StepView) -> State:
    if step.stuck:
        return State(step.state, "alert", "warning")
    if step.was_refused:
        return State(step.state, *_PHASES["failed"])
    if step.work == Work.NOTHING and step.phase == "done":
        return State(step.state, "idle", "ring")  # it has done nothing yet
    if step.phase == "undone" and step.compensation is None:
        return State(step.state, "idle", "check")
    tone, icon = _PHASES[step.phase]
    return State(step.state, tone, icon)


class _Scene:
    def __init__(self, definition: Definition, steps: Mapping[str, StepView] | None) -> None:
        self._definition = definition
        self._steps = steps or {}

    @cached_property
    def _undo(self) -> Mapping[str, str]:
        return undo_names(self._definition)

    def parts(self, outline: Outline) -> tuple[Part, ...]:
        return tuple(self._split(part) if isinstance(part, Fork) else self._box(part) for part in outline)

    def _box(self, name: str) -> Box:
        node, step = self._definition.nodes[name], self._steps.get(name)
        return Box(
            name,
            title=" ".join(printable(name).replace("_", " ").split()) or name,
            work=node.work,
            kind=StepKind.COMPENSATABLE if node.work is Work.CHOICE else node.kind,
            is_child=node.is_child,
            facts=_facts(node, step),
            undo=self._undoing(node),
            state=state_of(step) if step else None,
            trouble=reason_of(step.failure) if step and step.failure else "",
        )

    def _undoing(self, node: Node) -> str | None:
        if node.undo is Undo.NOTHING:
            return None
        called = self._undo.get(node.name, "by its own steps" if node.is_child else "by its own code")
        return f"{called}, no answer awaited" if node.undo is Undo.UNAWAITED else called

    def _split(self, fork: Fork) -> Split:
        gate = None if fork.gate is None else self._box(fork.gate)
        asked = self._steps.get(fork.gate) if fork.gate else None
        chosen = asked.chosen if asked else None
        shown = self._shown(fork.branches)
        branches = [
            Branch(self.parts(outline), label, None if chosen is None else label == chosen)
            for label, outline in (fork.branches[number] for number in shown)
        ]
        if len(shown) < len(fork.branches):
            drawn = {*shown}
            folded = [outline for number, (_, outline) in enumerate(fork.branches) if number not in drawn]
            branches.append(Branch((self._fold(folded),)))
        return Split(gate, tuple(branches), len(fork.branches), fork.fail_fast)

    def _shown(self, branches: Sequence[tuple[str, Outline]]) -> list[int]:
        numbers = range(len(branches))
        if len(branches) <= MOST_BRANCHES:
            return [*numbers]

        def trouble_first(number: int) -> bool:
            state = self._most_telling(branches[number][1])
            return state is None or state.tone not in ("alert", "bad")

        return sorted(sorted(numbers, key=trouble_first)[:BRANCHES_BESIDE_A_FOLD])

    def _fold(self, outlines: Sequence[Outline]) -> Fold:
        states = [state for outline in outlines if (state := self._most_telling(outline))]
        states.sort(key=lambda state: state.rank)
        return Fold(len(outlines), tuple(_counted([state.word for state in states])))

    def _most_telling(self, outline: Outline) -> State | None:
        """How far a branch is: as far as the step in it that says most."""
        states = (state_of(self._steps[name]) for name in _names(outline) if name in self._steps)
        return min(states, key=lambda state: state.rank, default=None)


def _names(outline: Outline) -> Iterator[str]:
    for part in outline:
        if isinstance(part, str):
            yield part
            continue
        if part.gate is not None:
            yield part.gate
        for _, inner in part.branches:
            yield from _names(inner)


def _facts(node: Node, step: StepView | None) -> tuple[str, ...]:
    """What doing it takes, and what an operator wants to know beside how far it is."""
    facts = [_doing(node)] if node.work is not Work.CHOICE else []
    if node.work is Work.DISPATCH:
        facts.append("no answer awaited")
    if node.work not in (Work.CHOICE, Work.DISPATCH) and node.kind in KINDS:  # what nobody awaits is not retried
        facts.append(KINDS[node.kind])
    if step is not None and step.until is not None:
        facts.append(f"until {clock(step.until)}")
    if step is not None and step.attempt > 1:
        facts.append(f"attempt {step.attempt}")
    return tuple(facts)


def _doing(node: Node) -> str:
    declared = node.step
    if isinstance(declared, ChildStep):
        return f"saga {declared.child.name}"
    if isinstance(declared, Sleep):
        return "sleeps as long as it is told" if callable(declared.seconds) else f"sleeps {_length(declared.seconds)}"
    if node.work is Work.SIGNAL:
        within = f" for {_length(node.timeout_seconds)}" if node.timeout_seconds is not None else ""
        return f"waits for this signal{within}"
    if node.command is not None:
        return node.command.name
    return "acts only when undoing" if node.work is Work.NOTHING else "in the orchestrator"


def _length(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size:g} {unit}"
    return f"{seconds:g} s"
