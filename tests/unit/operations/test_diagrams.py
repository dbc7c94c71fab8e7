"""Sagas as pictures: that nothing is missing, nothing overlaps, and no name breaks out of its place."""

import itertools
import re
from collections.abc import Iterator, Mapping
from types import new_class
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagas_framework import (
    PIVOT,
    AsyncStep,
    Command,
    Saga,
    Sleep,
    SyncStep,
    WaitForSignal,
    child_saga,
    choice,
    parallel,
    send,
    when,
)
from sagas_framework.definition.compiler import compile_saga
from sagas_framework.definition.graph import Definition
from sagas_framework.engine.state import Phase, SagaState, StepState
from sagas_framework.operations import StepView
from sagas_framework.operations.diagrams import mermaid, svg
from sagas_framework.operations.views import _steps
from sagas_framework.vocabulary.command import Failure

BOOK, CANCEL = Command("agency.book", "agency", dict), Command("agency.cancel_booking", "agency", dict)
SAGA_ID = "01920000-0000-7000-8000-000000000001"
TAGS = {"svg", "title", "desc", "style", "g", "rect", "path", "circle", "text"}
MANY = 1_000


def nothing(*arguments: Any) -> dict[str, Any]:
    return {}


def is_so(*arguments: Any) -> bool:
    return True


def book(name: str, **more: Any) -> AsyncStep:
    return AsyncStep(name, BOOK, action=nothing, compensation=send(CANCEL, nothing), **more)


def defined(*steps: Any, name: str = "TripSaga") -> Definition:
    body = {"response_queue": "trips", "steps": steps, "name": name}
    return compile_saga(new_class("Trip", (Saga[dict[str, Any]],), exec_body=lambda namespace: namespace.update(body)))


def at(definition: Definition, **steps: StepState) -> Mapping[str, StepView]:
    """An instance whose steps are so far; those that are not named have not been reached."""
    return {step.name: step for step in _steps(SAGA_ID, SagaState(steps=steps), definition)}


def done(attempt: int = 1, **more: Any) -> StepState:
    return StepState(Phase.DONE, attempt, **more)


def tree(picture: str) -> ElementTree.Element:
    """The parsed SVG, its tags without the namespace."""
    root = ElementTree.fromstring(picture)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def texts(picture: str) -> list[str]:
    return ["".join(element.itertext()) for element in tree(picture).iter("text")]


class Hotel(Saga[dict[str, Any]]):
    response_queue = "trips"
    steps = (book("room"),)


ALL_KINDS = defined(
    SyncStep("insure", action=nothing),
    SyncStep("reject", compensation=nothing),
    parallel(book("plane"), [book("museum"), book("dinner")], child_saga("hotel", Hotel, nothing)),
    choice(when(is_so, book("taxi"), label="late"), otherwise=book("bus"), name="how late is it"),
    WaitForSignal("approval", timeout_seconds=7200.0),
    AsyncStep("pay", BOOK, action=nothing, kind=PIVOT),
    Sleep("cool_off", 90.0),
    AsyncStep("tell", BOOK, action=nothing, awaited=False),
    parallel(SyncStep("note", action=nothing), SyncStep("file", action=nothing), fail_fast=True),
)


# ---- Mermaid -----------------------------------------------------------------------------------------------------

LABEL = r'"(?:[^\W_]|[ ,…↩✔✖▶○⚠⊘._-]|#\d+;|<br/>)*"'
DOUBLE = ((r"\[\[", r"\]\]"), (r"\(\(", r"\)\)"), (r"\(\[", r"\]\)"), (r"\{\{", r"\}\}"), (r"\[", r"\]"))
PAIRS = (*DOUBLE, (r"\(", r"\)"), (r"\{", r"\}"), (">", r"\]"))
SHAPES = "|".join(f"{left}{LABEL}{right}" for left, right in PAIRS)
STATEMENT = re.compile(
    rf"n\d+(?:{SHAPES})|n\d+ (?:-->|==>|-\.->)(?:\|{LABEL}\|)? n\d+|acc(?:Title|Descr): [\w.,:-][\w .,:-]*"
    r"|classDef \w+ [\w#:,. -]+|class [n\d,]+ \w+"
)


def statements(picture: str) -> list[str]:
    first, *others = picture.splitlines()
    assert first == "flowchart TD"
    for other in others:
        assert STATEMENT.fullmatch(other.strip()), other
    return [other.strip() for other in others]


def test_each_kind_of_step_has_a_form_and_words_of_its_own_in_mermaid() -> None:
    lines = " ".join(statements(mermaid(ALL_KINDS)))
    for form in (
        '("insure<br/>in the orchestrator")',
        '["reject<br/>acts only when undoing<br/>↩ nothing"]',
        '["plane<br/>agency.book<br/>↩ cancel booking"]',
        '[["hotel<br/>saga Hotel<br/>↩ by its own steps"]]',
        '{"how late is it"}',
        '-->|"late"| ',
        '{{"approval<br/>waits for this signal for 2 h"}}',
        '["pay<br/>agency.book<br/>point of no return"]',
        '(["cool off<br/>sleeps 90 s<br/>retried, never undone"])',
        '>"tell<br/>agency.book<br/>no answer awaited"]',
        '(("all<br/>fail fast"))',
    ):
        assert form in lines, form


def test_branches_part_and_meet_in_mermaid() -> None:
    lines = statements(mermaid(defined(parallel(book("a"), [book("b"), book("c")]), book("d"))))
    edges = [line for line in lines if "-->" in line]
    names = {
        line.partition('"')[2].partition("<")[0].partition('"')[0]: line.split("(")[0].split("[")[0] for line in lines
    }
    fork, a, b, c, d = (names[name] for name in ("all", "a", "b", "c", "d"))
    join = names[" "]
    assert {f"{fork} --> {a}", f"{fork} --> {b}", f"{b} --> {c}", f"{a} --> {join}", f"{c} --> {join}"} < set(edges)
    assert f"{join} --> {d}" in edges


def test_an_instance_is_marked_in_mermaid_with_words_and_classes() -> None:
    failure = Failure("Full", "no rooms")
    steps = {
        "plane": done(),
        "museum": StepState(Phase.FAILED, 1, failure=failure),
        "how late is it": done(chosen="late"),
    }
    lines = statements(mermaid(ALL_KINDS, at(ALL_KINDS, **steps)))
    joined = " ".join(lines)
    assert "✔ done" in joined and "✖ failed" in joined and "no rooms" in joined and "○ not begun" in joined
    assert '==>|"late"|' in joined and '-.->|"otherwise"|' in joined
    assert any(line.startswith("class ") and line.endswith(" bad") for line in lines)


# ---- SVG ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inline", [False, True])
def test_the_svg_holds_only_what_draws_and_says_what_it_is(inline: bool) -> None:
    root = tree(svg(ALL_KINDS, at(ALL_KINDS, plane=done()), inline=inline))
    assert {element.tag for element in root.iter()} == TAGS - ({"style"} if inline else set())
    for element in root.iter():
        assert not any(name.startswith("on") or "href" in name or name == "style" for name in element.attrib)
    assert root.get("role") == "img"
    title, described = root.find("title"), root.find("desc")
    assert title is not None and title.text == "TripSaga"
    assert described is not None
    assert described.text == "15 steps: 13 not begun, 1 only when undoing, 1 done."


def test_a_picture_within_a_page_needs_nothing_that_the_pages_policy_refuses() -> None:
    inline = svg(ALL_KINDS, inline=True)
    assert "http" not in inline and "<style" not in inline
    names = {name for element in tree(inline).iter() for name in (element.get("class") or "").split()}
    assert all(name.startswith("sd-") or name == "sagas-diagram" for name in names)


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("stuck", [False, True])
def test_how_far_a_step_is_stands_there_in_a_word_and_a_shape(phase: Phase, stuck: bool) -> None:
    definition = defined(book("plane"))
    steps = at(definition, plane=StepState(phase, 1, stuck=stuck))
    word = steps["plane"].state
    picture = svg(definition, steps)
    assert word in texts(picture)
    marks = [element for element in tree(picture).iter("g") if element.get("class") == "sd-mark"]
    assert len(marks) == 1 and any(part.get("class") == "sd-icon" for part in marks[0].iter("path"))
    assert word in mermaid(definition, steps)


def test_what_does_not_fit_is_cut_and_told_whole_besides() -> None:
    long = "book_" + "very_" * 20 + "well"
    picture = svg(defined(book(long), choice(when(is_so, book("a"), label=long), name=f"is {long}")))
    assert any(text.startswith("book very") and text.endswith("…") for text in texts(picture))
    titles = [title.text or "" for title in tree(picture).iter("title")]
    for whole in (long, f"is {long}"):
        assert any(title.split("\n")[0] == whole for title in titles)
    assert not any(len(text) > 45 for text in texts(picture))


def test_the_chosen_branch_is_marked_and_the_others_are_dashed() -> None:
    definition = defined(choice(when(is_so, book("a"), label="yes"), name="so"))
    before, after = svg(definition, at(definition)), svg(definition, at(definition, so=done(chosen="yes")))
    assert "sd-taken" not in _drawn(before) and "sd-untaken" not in _drawn(before)
    assert "sd-taken" in _drawn(after) and "sd-untaken" in _drawn(after)
    assert "yes (chosen)" in [title.text for title in tree(after).iter("title")]


def _drawn(picture: str) -> str:
    return picture.partition("</style>")[2]


# ---- any definition ----------------------------------------------------------------------------------------------

NASTY = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30),
    st.sampled_from(
        ['a"b', "end", "x]y[z", "<script>alert(1)</script>", "{`;%%}", "1. one", "#35;", "旅館 🏨", "a|b", "--&gt;"]
    ),
)


@st.composite
def outlines(draw: st.DrawFn) -> Definition:
    names = iter(draw(st.lists(NASTY, min_size=12, max_size=12, unique=True)))
    spare = itertools.count()
    marks = st.sampled_from(["step", "step", "signal", "parallel", "choice"])

    def sequence(depth: int) -> list[Any]:
        return [element(depth) for _ in range(draw(st.integers(1, 2)))]

    def element(depth: int) -> Any:
        kind = draw(marks) if depth < 3 else "step"
        name = next(names, None)
        if name is None:
            return book(f"spare {next(spare)}")
        if kind == "parallel":
            return parallel(
                *(sequence(depth + 1) for _ in range(draw(st.integers(1, 3)))),
                name=f"all of {name}",
                fail_fast=draw(st.booleans()),
            )
        if kind == "choice":
            return choice(when(is_so, *sequence(depth + 1), label=name), name=f"choice {name}")
        return WaitForSignal(name) if kind == "signal" else book(name)

    return defined(*sequence(0), name=draw(NASTY))


@settings(max_examples=80)
@given(outlines(), st.data())
def test_any_saga_is_drawn_whole_without_overlaps_and_no_name_breaks_out(
    definition: Definition, data: st.DataObject
) -> None:
    shown = [node for node in definition.nodes.values() if not node.is_join]
    states = {
        node.name: StepState(data.draw(st.sampled_from(list(Phase))), 1, failure=Failure("No", '"<b>no</b>"]'))
        for node in shown
        if node.branches is None
    }
    for steps in (None, at(definition, **states)):
        statements(mermaid(definition, steps))
        root = tree(svg(definition, steps))
        boxes = list(_places(root))
        assert len(boxes) == len(shown)
        for number, box in enumerate(boxes):
            assert box[0] >= 0 and box[1] >= 0 and box[2] <= _size(root, "width") and box[3] <= _size(root, "height")
            for other in boxes[:number]:
                assert box[2] <= other[0] or other[2] <= box[0] or box[3] <= other[1] or other[3] <= box[1]
        assert {element.tag for element in root.iter()} <= TAGS


def _size(root: ElementTree.Element, name: str) -> float:
    return float(root.get(name) or 0)


def _places(root: ElementTree.Element) -> Iterator[tuple[float, float, float, float]]:
    """Left, top, right and bottom of every step."""
    for group in root.iter("g"):
        if "sd-step" not in (group.get("class") or "").split():
            continue
        left, top = (float(number) for number in re.findall(r"[\d.]+", group.get("transform") or ""))
        rectangle = group.find("rect")
        width, height = (244.0, 84.0) if rectangle is None else (_size(rectangle, "width"), _size(rectangle, "height"))
        yield left, top, left + width, top + height


# ---- many branches -----------------------------------------------------------------------------------------------


def test_thirty_branches_are_drawn_whole() -> None:
    definition = defined(parallel(*(book(f"b{number}") for number in range(30))))
    assert len(list(_places(tree(svg(definition))))) == 30 and "more" not in mermaid(definition)


def test_of_a_thousand_branches_twenty_are_drawn_and_the_others_counted_the_troubled_first() -> None:
    definition = defined(parallel(*([book(f"b{number}"), book(f"c{number}")] for number in range(MANY))))
    steps = {f"b{number}": done() for number in range(MANY)} | {f"c{number}": done() for number in range(700)}
    steps |= {"b900": StepState(Phase.FAILED, 1), "c650": StepState(Phase.ACTING, 1, stuck=True)}
    views = at(definition, **steps)
    for picture in (svg(definition, views), mermaid(definition, views)):
        assert "… and 980 more" in picture
        assert "681 done" in picture and "299 not begun" in picture
        assert "b900" in picture and "c650" in picture and "b17" in picture and "b18<" not in picture
        assert len(picture) < 40_000
    assert "1000 branches side by side" in svg(definition)
    assert len(list(_places(tree(svg(definition))))) == 40
