"""A handler's annotations say what it is given and what it answers: they and its command must agree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Protocol

import pytest
from typing_extensions import TypedDict

from sagas_framework import (
    AnswerLater,
    Command,
    HandlerContext,
    SagaContext,
    create_participant,
    handles,
    saga_step_handler,
)
from sagas_framework.errors import ContradictoryMessages, PayloadRefused, UnusableContract
from sagas_framework.participant.handlers import marked_in, work_of

if TYPE_CHECKING:
    from nowhere import NotHere  # type: ignore[import-not-found]


class Base:
    """What an Ask is."""


@dataclass(frozen=True)
class Ask(Base):
    number: int


@dataclass(frozen=True)
class SpecialAsk(Ask):
    word: str = ""


@dataclass(frozen=True)
class Ticket:
    number: int


class AsDictionary(TypedDict):
    number: int


class Numbered(Protocol):
    number: int


CREATE = Command("kitchen.create", "kitchen.commands", Ask, Ticket)
REJECT = Command("kitchen.reject", "kitchen.commands", Ask)
LOOSE = Command("kitchen.loose", "kitchen.commands", dict, dict)
CONTEXT = Command("kitchen.context", "kitchen.commands", SagaContext, SagaContext)
STEP = HandlerContext("saga", "step", 1, None)


def started_with(*functions: Any) -> None:
    module: Any = SimpleNamespace(**{f"handler_{number}": function for number, function in enumerate(functions)})
    create_participant("kitchen", broker="memory://", database_url=None, queue="kitchen.commands", handlers=[module])


def handler_of(
    command: Command[Any, Any], payload: Any = "missing", returned: Any = "missing", answer: Any = None
) -> Any:
    def cook(payload, step):  # type: ignore[no-untyped-def]
        cook.seen = payload  # type: ignore[attr-defined]
        return answer

    given = {"payload": payload, "return": returned}
    cook.__annotations__ = {name: annotation for name, annotation in given.items() if annotation != "missing"}
    return handles(command)(cook)


def run(handler: Any, payload: Any) -> Any:
    work = work_of(*marked_in(SimpleNamespace(handler=handler))[0])
    work.run(payload, STEP)
    return handler.seen


# ---- payloads -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "annotation",
    [
        "missing",
        Ask,
        "Ask",
        Base,
        object,
        Any,
        Ask | Ticket,
        Annotated[Ask, "a word"],
        Numbered,
        "NotHere",
        "not (",
        "re.Missing",
        "Ask[int]",
    ],
    ids=str,
)
def test_a_handler_may_take_what_its_command_carries_in_any_of_these_words(annotation: Any) -> None:
    handler = handler_of(CREATE, annotation)
    started_with(handler)
    assert run(handler, {"number": 7}) == Ask(7)


@pytest.mark.parametrize("annotation", [Ticket, "Ticket", SpecialAsk, int, None, list[int], Ticket | None, SagaContext])
def test_a_handler_that_takes_something_else_than_its_command_carries_is_refused_with_both(annotation: Any) -> None:
    handler = handler_of(CREATE, annotation)
    place = re.escape(f"{__name__}.handler_of.<locals>.cook ({__file__}:")
    with pytest.raises(ContradictoryMessages, match=rf"handler {place}\d+\) takes .*carries .*\.Ask") as refused:
        started_with(handler)
    assert f"'kitchen.create' ({CREATE.place})" in str(refused.value)


@pytest.mark.parametrize("annotation", [dict, dict[str, Any], "dict[str, int]", AsDictionary], ids=str)
@pytest.mark.parametrize("command", [CREATE, LOOSE, CONTEXT], ids=lambda command: command.name)
def test_a_handler_that_takes_a_dictionary_is_given_one(command: Command[Any, Any], annotation: Any) -> None:
    handler = handler_of(command, annotation)
    started_with(handler)
    assert run(handler, {"number": 7}) == {"number": 7} and type(handler.seen) is dict


@pytest.mark.parametrize("annotation", [dict, dict[str, Any], dict[str, int], AsDictionary], ids=str)
def test_a_field_that_its_command_does_not_know_is_not_in_it(annotation: Any) -> None:
    handler = handler_of(CREATE, annotation)
    run(handler, {"number": 7, "new": "since yesterday"})
    assert handler.seen == {"number": 7}


@pytest.mark.parametrize(
    ("command", "annotation"), [(CREATE, dict), (LOOSE, dict[str, int]), (LOOSE, AsDictionary), (CONTEXT, AsDictionary)]
)
def test_that_dictionary_is_checked_like_anything_else(command: Command[Any, Any], annotation: Any) -> None:
    handler = handler_of(command, annotation)
    with pytest.raises(PayloadRefused, match="payload of kitchen"):
        run(handler, {"number": "seven"})
    assert not hasattr(handler, "seen")


def test_a_dictionary_of_what_json_does_not_know_is_refused() -> None:
    with pytest.raises(UnusableContract, match=r"'payload' of handler .*cook \(.*Unable to generate"):
        started_with(handler_of(LOOSE, dict[str, Base]))


def test_other_annotations_that_cannot_be_looked_up_do_not_hide_the_one_that_can() -> None:
    @handles(CREATE)  # type: ignore[arg-type]
    def cook(ask: Ticket, step: NotHere) -> Ticket:
        raise AssertionError

    with pytest.raises(ContradictoryMessages, match=r"takes .*Ticket"):
        started_with(cook)


# ---- responses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "annotation"),
    [
        *(
            (CREATE, one)
            for one in ("missing", Ticket, Ticket | AnswerLater, AnswerLater, Any, object, NoReturn, "Nope")
        ),
        *((CREATE, one) for one in (dict, dict[str, Any], AsDictionary, "Ticket | AnswerLater")),
        *((REJECT, one) for one in ("missing", None, "None", Any, None | AnswerLater, NoReturn)),
        (LOOSE, Mapping[str, Any]),
        (CONTEXT, dict[str, Any]),
    ],
    ids=str,
)
def test_a_handler_may_return_what_its_command_declares_in_any_of_these_words(
    command: Command[Any, Any], annotation: Any
) -> None:
    started_with(handler_of(command, returned=annotation))


@pytest.mark.parametrize(
    ("command", "annotation", "complaint"),
    [
        (CREATE, Ask, r"returns .*\.Ask, but its command 'kitchen.create' \(.*\) is answered with .*\.Ticket"),
        (CREATE, None, r"returns None, but .* is answered with .*\.Ticket"),
        (CREATE, Ticket | None, r"returns None, but .* is answered with .*\.Ticket"),
        (CREATE, "Ask | Ticket", r"returns .*\.Ask, but .* is answered with .*\.Ticket"),
        (REJECT, Ticket, r"returns .*\.Ticket, but its command 'kitchen.reject' \(.*\) has no response"),
        (REJECT, dict, r"returns builtins.dict, but .* has no response"),
        (LOOSE, Ticket, r"returns .*\.Ticket, but .* is answered with builtins.dict"),
    ],
)
def test_a_handler_that_returns_something_else_than_its_command_declares_is_refused_with_both(
    command: Command[Any, Any], annotation: Any, complaint: str
) -> None:
    with pytest.raises(ContradictoryMessages, match=rf"handler .*cook \({re.escape(__file__)}:\d+\) {complaint}"):
        started_with(handler_of(command, returned=annotation))


# ---- two handlers ---------------------------------------------------------------------------------------------------


def test_two_handlers_for_one_command_are_refused_with_both_places() -> None:
    @handles(REJECT)
    def one(ask: Ask, step: HandlerContext) -> None: ...

    @handles(REJECT)
    def other(ask: Ask, step: HandlerContext) -> None: ...

    places = [
        re.escape(f"{f.__module__}.{f.__qualname__} ({__file__}:{f.__code__.co_firstlineno})") for f in (one, other)
    ]
    with pytest.raises(ContradictoryMessages, match=rf"'kitchen.reject' has two handlers, {places[0]} and {places[1]}"):
        started_with(one, other)


def test_one_handler_that_is_found_twice_is_no_mistake() -> None:
    handler = handler_of(REJECT)
    started_with(handler, handler)


# ---- the long form --------------------------------------------------------------------------------------------------


def seen_by_task(annotation: Any, payload: Any) -> list[Any]:
    """What a handler in the long form is given; it has no database, and nobody is answered."""
    seen: list[Any] = []
    app = create_participant("kitchen", broker="memory://", database_url=None, queue="kitchen.commands").app

    def cook(self, saga_id, payload):  # type: ignore[no-untyped-def]
        seen.append(payload)

    cook.__annotations__ = {"self": "NotHere"} | ({} if annotation == "missing" else {"payload": annotation})
    task = app.task(bind=True, name="kitchen.cook", shared=False)(saga_step_handler()(cook))
    task.apply(args=["saga", payload], throw=True)
    return seen


@pytest.mark.parametrize(
    ("annotation", "given"),
    [
        ("missing", {"number": 7}),
        ("NotHere", {"number": 7}),
        (Any, {"number": 7}),
        (dict, {"number": 7}),
        (dict[str, int], {"number": 7}),
        (AsDictionary, {"number": 7}),
        (Ask, Ask(7)),
        ("Ask", Ask(7)),
        (Ask | None, Ask(7)),
        (SagaContext, SagaContext(number=7)),
    ],
    ids=str,
)
def test_a_task_is_given_what_its_annotation_says(annotation: Any, given: Any) -> None:
    assert seen_by_task(annotation, {"number": 7}) == [given]


@pytest.mark.parametrize(
    "annotation", [Ask, "Ask", Ask | None, dict[str, int], list[int], int, None, AsDictionary], ids=str
)
def test_a_task_never_sees_what_its_annotation_does_not_allow(annotation: Any) -> None:
    assert seen_by_task(annotation, {"number": "seven"}) == []


def test_a_task_that_takes_a_dictionary_is_given_nothing_else() -> None:
    assert seen_by_task(dict, [1]) == []
