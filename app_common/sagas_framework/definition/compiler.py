"""From what was written to the graph: names, edges, kinds and times; refuses what cannot work and says why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sagas_framework.definition import checks
from sagas_framework.definition.graph import Definition, Fork, Node, Outline, Place, Timing, Undo, Work
from sagas_framework.definition.saga import Saga, data_type_of
from sagas_framework.definition.steps import AsyncStep, Element, Send, Sleep, Step, StepKind, SyncStep, WaitForSignal
from sagas_framework.definition.structure import OTHERWISE, ChildStep, Choice, Include, Parallel
from sagas_framework.errors import DefinitionError

_HOOKS = ("on_saga_success", "on_saga_failure", "on_compensation_failure")

DEFAULT_TIMING = Timing()

View = Callable[[Any], Any] | None


def compile_saga(saga: type[Saga[Any]], timing: Timing = DEFAULT_TIMING) -> Definition:
    """The validated graph of a saga class."""
    checks.refuse_bad_saga(saga)
    graph = _Graph(saga, timing)
    outline, _ = graph.sequence(saga.steps, _Point(None, None), places=(), inside=_Inside())
    nodes = graph.finished()
    return Definition(
        saga.name,
        saga.response_queue,
        nodes,
        outline,
        saga.deadline_seconds,
        data_type_of(saga),
        saga,
        last=tuple(name for name, node in nodes.items() if not node.before),
        hooks=frozenset(name for name in _HOOKS if getattr(saga, name) is not getattr(Saga, name)),
    )


@dataclass(frozen=True)
class _Point:
    """Where the next step goes: after which node, and whose decision lies before it (from there nothing is undone)."""

    after: str | None
    decided_by: str | None


@dataclass(frozen=True)
class _Inside:
    """What including a saga means for each of its steps."""

    view: View = None
    prefix: str = ""
    sagas: tuple[type[Saga[Any]], ...] = ()


class _Graph:
    def __init__(self, saga: type[Saga[Any]], timing: Timing) -> None:
        self._saga = saga
        self._timing = timing
        self._nodes: dict[str, Node] = {}
        self._before: dict[str, list[str]] = {}

    def finished(self) -> dict[str, Node]:
        return {name: replace(node, before=tuple(self._before[name])) for name, node in self._nodes.items()}

    def sequence(
        self, elements: Iterable[Any], at: _Point, places: tuple[Place, ...], inside: _Inside
    ) -> tuple[Outline, _Point]:
        outline: list[str | Fork] = []
        for element in elements:
            if isinstance(element, Include):
                included, at = self._include(element, at, places, inside)
                outline += included
                continue
            part: str | Fork
            if isinstance(element, Parallel):
                part, at = self._parallel(element, at, places, inside)
            elif isinstance(element, Choice):
                part, at = self._choice(element, at, places, inside)
            else:
                part, at = self._step(element, at, places, inside)
            outline.append(part)
        return tuple(outline), at

    # ---- one step -------------------------------------------------------------------------------------------------

    def _step(self, step: Any, at: _Point, places: tuple[Place, ...], inside: _Inside) -> tuple[str, _Point]:
        if not isinstance(step, Step):
            problem = f"{step!r} is not a step; write SyncStep(...), AsyncStep(...), parallel(...) and so on"
            raise DefinitionError(problem, saga=self._saga.name)
        step = replace(step, name=inside.prefix + step.name)
        kind = checks.kind_at(self._saga.name, step, at.decided_by)
        if isinstance(step, ChildStep) and kind is StepKind.COMPENSATABLE and step.compensation is None:
            step = replace(step, compensation=step.undo)
        checks.refuse_bad_step(self._saga, step, kind)
        self._add(self._node_of(step, kind), [at.after], places, inside.view)
        decided_by = at.decided_by or (None if kind is StepKind.COMPENSATABLE else step.name)
        return step.name, _Point(step.name, decided_by)

    def _node_of(self, step: Step, kind: StepKind) -> Node:
        saga, timing = self._saga, self._timing
        ask_again = saga.ask_again_after_seconds or timing.ask_again_after_seconds
        give_up = saga.give_up_after_seconds or timing.give_up_after_seconds
        calls_back, tells_failure = False, False
        if isinstance(step, AsyncStep):
            ask_again = step.ask_again_after_seconds or ask_again
            give_up = step.give_up_after_seconds or give_up
            calls_back, tells_failure = step.on_success is not None, step.on_failure is not None
        elif isinstance(step, WaitForSignal):
            calls_back = step.on_signal is not None
        return Node(
            step.name,
            kind,
            _work_of(step),
            _undo_of(step),
            step=step,
            calls_back=calls_back,
            tells_failure=tells_failure,
            retry=step.retry,
            undo_retry=step.compensation.retry if isinstance(step.compensation, Send) else step.retry,
            ask_again_after_seconds=ask_again,
            give_up_after_seconds=give_up,
            timeout_seconds=step.timeout_seconds if isinstance(step, WaitForSignal) else None,
        )

    # ---- what steps are put together with --------------------------------------------------------------------------

    def _include(
        self, included: Include, at: _Point, places: tuple[Place, ...], inside: _Inside
    ) -> tuple[Outline, _Point]:
        checks.refuse_bad_include(self._saga, included, inside.view, inside.sagas)
        outer, own = inside.view, included.data
        view = (lambda data: own(outer(data))) if outer and own else own or outer
        deeper = _Inside(view, inside.prefix + included.prefix, (*inside.sagas, included.saga))
        return self.sequence(included.saga.steps, at, places, deeper)

    def _parallel(
        self, parallel: Parallel, at: _Point, places: tuple[Place, ...], inside: _Inside
    ) -> tuple[Fork, _Point]:
        join = inside.prefix + _name_of_join(parallel)
        before = len(self._nodes)
        branches: list[tuple[str, Outline]] = []
        ends: list[_Point] = []
        for number, branch in enumerate(parallel.branches):
            place = Place(join, number, parallel.fail_fast)
            outline, end = self.sequence(branch, at, (*places, place), inside)
            if not outline:
                raise DefinitionError(f"branch {number + 1} of {join!r} is empty", saga=self._saga.name)
            branches.append(("", outline))
            ends.append(end)
        if at.decided_by is None and len(ends) > 1:
            checks.refuse_decision_beside(self._saga.name, list(self._nodes.values())[before:])
        end = self._join(join, ends, places)
        return Fork(None, join, tuple(branches), parallel.fail_fast), end

    def _choice(self, choice: Choice, at: _Point, places: tuple[Place, ...], inside: _Inside) -> tuple[Fork, _Point]:
        branches = [*((branch.label, branch.steps) for branch in choice.branches), (OTHERWISE, choice.otherwise)]
        labels = [label for label, steps in branches if steps or label != OTHERWISE]
        gate = inside.prefix + (choice.name or " or ".join(labels))
        kind = StepKind.RETRIABLE if at.decided_by else StepKind.COMPENSATABLE
        self._add(Node(gate, kind, Work.CHOICE, step=choice), [at.after], places, inside.view)
        outlines: list[tuple[str, Outline]] = []
        members: dict[str, tuple[str, ...]] = {}
        ends: list[_Point] = []
        for label, steps in branches:
            before = len(self._nodes)
            outline, end = self.sequence(steps, _Point(gate, at.decided_by), places, inside)
            members[label] = tuple(list(self._nodes)[before:])
            outlines.append((label, outline))
            ends.append(end)
        self._nodes[gate] = replace(self._nodes[gate], branches=members)
        end = self._join(f"end of {gate}", ends, places)
        return Fork(gate, f"end of {gate}", tuple(outlines)), end

    def _join(self, name: str, ends: Sequence[_Point], places: tuple[Place, ...]) -> _Point:
        decided_by = next((end.decided_by for end in ends if end.decided_by), None)
        kind = StepKind.RETRIABLE if decided_by else StepKind.COMPENSATABLE
        self._add(Node(name, kind, Work.NOTHING), [end.after for end in ends], places, None)
        return _Point(name, decided_by)

    def _add(self, node: Node, after: Iterable[str | None], places: tuple[Place, ...], view: View) -> None:
        checks.refuse_bad_name(self._saga.name, node.name, self._nodes)
        known = tuple(dict.fromkeys(name for name in after if name is not None))
        self._nodes[node.name] = replace(node, after=known, places=places, view=view)
        self._before[node.name] = []
        for name in known:
            self._before[name].append(node.name)


def _name_of_join(parallel: Parallel) -> str:
    return parallel.name or f"join of {_first_name(parallel.branches)}"


def _first_name(branches: Sequence[Sequence[Element]]) -> str:
    """A name that stays when steps elsewhere come and go: running sagas are stored under it."""
    for branch in branches:
        for element in branch:
            if isinstance(element, Parallel):
                return _name_of_join(element)
            if isinstance(element, Choice):
                return element.name or element.branches[0].label
            if isinstance(element, Include):
                return element.prefix + element.saga.name
            return str(getattr(element, "name", element))
    return "nothing"


def _work_of(step: Step) -> Work:
    if isinstance(step, SyncStep):
        return Work.NOTHING if step.action is None else Work.LOCAL
    if isinstance(step, AsyncStep):
        return Work.COMMAND if step.awaited else Work.DISPATCH
    return Work.SLEEP if isinstance(step, Sleep) else Work.SIGNAL


def _undo_of(step: Step) -> Undo:
    if step.compensation is None:
        return Undo.NOTHING
    if isinstance(step.compensation, Send):
        return Undo.AWAITED if step.compensation.awaited else Undo.UNAWAITED
    return Undo.LOCAL
