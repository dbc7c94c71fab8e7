"""What a definition must not be: each refusal says which saga and step, why, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import is_dataclass
from itertools import product
from typing import Any, get_type_hints

from sagas_framework.definition.graph import Definition, Node
from sagas_framework.definition.saga import Saga, data_type_of, refuse_unfinished
from sagas_framework.definition.steps import AsyncStep, Step, StepKind
from sagas_framework.definition.structure import Include
from sagas_framework.definition.values import refuse_no_name, refuse_no_seconds
from sagas_framework.errors import DefinitionError, EmptySaga
from sagas_framework.vocabulary.names import undo_child_task_name

MAX_NAME_CHARACTERS = 120


def refuse_bad_saga(saga: type[Saga[Any]]) -> None:
    refuse_unfinished(saga)
    _refuse_bad_steps(saga)
    refuse_no_name("its name", saga.name, saga.__name__)
    if len(saga.name) > MAX_NAME_CHARACTERS:
        raise DefinitionError(f"its name is longer than {MAX_NAME_CHARACTERS} characters", saga=saga.name)
    if not getattr(saga, "response_queue", None):
        raise DefinitionError("it names no response_queue", saga=saga.name)
    refuse_no_name("its response_queue", saga.response_queue, saga.name)
    for name in ("deadline_seconds", "ask_again_after_seconds", "give_up_after_seconds"):
        seconds = getattr(saga, name)
        if seconds is not None:
            refuse_no_seconds(f"its {name}", seconds, saga=saga.name)


def _refuse_bad_steps(saga: type[Saga[Any]]) -> None:
    steps = getattr(saga, "steps", ())
    if not isinstance(steps, (list, tuple)):  # a generator would be empty the second time
        raise DefinitionError(f"its steps must be a list or a tuple, not {steps!r}", saga=saga.name)
    if not steps:
        raise EmptySaga("it has no steps; there would be nothing to do. Give it at least one", saga=saga.name)


def refuse_bad_name(saga: str, name: str, known: Container[str]) -> None:
    refuse_no_name("a step's name", name, saga)
    if len(name) > MAX_NAME_CHARACTERS:
        problem = (
            f"its name is longer than {MAX_NAME_CHARACTERS} characters; parallel(name=...) and choice(name=...) take a "
            "shorter one than what is made of their branches'"
        )
        raise DefinitionError(problem, saga=saga, step=name)
    if name in known:
        problem = (
            "another step has the same name; replies could not be told apart. Give it another "
            "(parallel(name=...), choice(name=...) and include(prefix=...) take one as well)"
        )
        raise DefinitionError(problem, saga=saga, step=name)


def kind_at(saga: str, step: Step, decided_by: str | None) -> StepKind:
    """Compensatable steps, then at most one pivot, then retriable ones; a kind left open follows from the place."""
    kind = step.kind or (StepKind.RETRIABLE if decided_by else StepKind.COMPENSATABLE)
    if decided_by and kind is not StepKind.RETRIABLE:
        raise DefinitionError(
            f"a {kind.value} step cannot come after {decided_by!r}: nothing is undone from there on. "
            "Move it before, or make it retriable",
            saga=saga,
            step=step.name,
        )
    return kind


def refuse_bad_step(saga: type[Saga[Any]], step: Step, kind: StepKind) -> None:
    if kind is StepKind.RETRIABLE and step.compensation is not None:
        raise DefinitionError(
            "a retriable step must not have a compensation: what comes after the pivot is retried and never undone",
            saga=saga.name,
            step=step.name,
        )
    if kind is StepKind.PIVOT and isinstance(step, AsyncStep) and not step.awaited:
        problem = "it is the pivot, and nobody awaits it: whether anything may still be undone would never be known"
        raise DefinitionError(problem, saga=saga.name, step=step.name)
    # `compensation=ticket_to_reject` looks right, and would build a payload that nobody sends.
    returned = _return_type(step.compensation) if callable(step.compensation) else None
    if is_dataclass(returned) and returned is not data_type_of(saga):
        raise DefinitionError(
            f"its compensation {getattr(step.compensation, '__name__', '?')} returns a payload; "
            "write compensation=send(command, function) to send it",
            saga=saga.name,
            step=step.name,
        )


def refuse_decision_beside(saga: str, nodes: Sequence[Node]) -> None:
    """Side by side stand steps that can be undone, or steps that cannot fail: otherwise one branch could have passed
    the point of no return when another is refused, and the saga could go neither way."""
    steps = [node for node in nodes if node.step is not None]
    deciding = [node for node in steps if node.kind is not StepKind.COMPENSATABLE]
    uncertain = [node for node in steps if node.kind is not StepKind.RETRIABLE]
    for decisive, beside in product(deciding, uncertain):
        if _apart(decisive, beside):
            raise DefinitionError(
                f"a {decisive.kind.value} step cannot run beside {beside.name!r}, which may still fail or be undone. "
                "Put it after the parallel, where all of that is over",
                saga=saga,
                step=decisive.name,
            )


def _apart(one: Node, other: Node) -> bool:
    """Whether they stand in different branches of a parallel."""
    for here, there in zip(one.places, other.places, strict=False):
        if here != there:
            return here.parallel == there.parallel
    return False


def refuse_bad_include(
    saga: type[Saga[Any]], included: Include, view: Callable[[Any], Any] | None, within: Sequence[type[Saga[Any]]]
) -> None:
    name = included.saga.name
    if included.saga is saga or included.saga in within:
        raise DefinitionError(f"it includes {name!r}, which includes itself: there would be no end", saga=saga.name)
    _refuse_bad_steps(included.saga)
    outer = data_type_of((saga, *within)[-1])
    inner = data_type_of(included.saga)
    if included.data is None and view is None and not issubclass(outer, inner):
        raise DefinitionError(
            f"it includes {name!r}, whose steps work on {inner.__name__}, not on {outer.__name__}; "
            "say which part of the data that is: include(saga, data=lambda order: order.payment)",
            saga=saga.name,
        )


def refuse_bad_children(definition: Definition, known: Mapping[str, Definition]) -> None:
    """A saga that is a step of another runs on the same orchestrator, can be undone where that step can, and is not,
    in the end, a step of its own."""
    if definition.name in _always_run(definition, known, set()):
        problem = "it is a step of its own child: there would be no end. Let a choice(...) decide whether it goes on"
        raise DefinitionError(problem, saga=definition.name)
    for step, saga in definition.children.items():
        child, node = known.get(saga.name), definition.nodes[step]
        if child is None or child.saga is not saga:
            problem = f"the saga {saga.name!r} is not registered with the same orchestrator; add it to its sagas"
            raise DefinitionError(problem, saga=definition.name, step=step)
        final = next((one for one in child.nodes.values() if one.kind is not StepKind.COMPENSATABLE), None)
        if (
            final is not None
            and node.undo_command is not None
            and node.undo_command.name == undo_child_task_name(saga.name)
        ):
            raise DefinitionError(
                f"the saga {saga.name!r} cannot be undone from its {final.kind.value} step {final.name!r} on. Make "
                "this step the pivot or retriable, or give it a compensation of its own",
                saga=definition.name,
                step=step,
            )


def _always_run(definition: Definition, known: Mapping[str, Definition], seen: set[str]) -> set[str]:
    """The sagas that are started whenever this one comes to its end, which no choice decides about."""
    decided = {
        name for node in definition.nodes.values() for members in (node.branches or {}).values() for name in members
    }
    for step, saga in definition.children.items():
        if step not in decided and saga.name not in seen:
            seen.add(saga.name)
            if saga.name in known:
                _always_run(known[saga.name], known, seen)
    return seen


def _return_type(function: Any) -> Any:
    try:
        return get_type_hints(function).get("return")
    except (NameError, TypeError):  # an annotation that cannot be looked up now says nothing
        return None
