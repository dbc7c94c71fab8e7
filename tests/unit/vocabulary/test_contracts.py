"""What is said twice must be said alike, or the start is refused with the two places."""

import importlib.util
import re
import sys
from dataclasses import dataclass, make_dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import pytest
from pydantic import Field

from sagas_framework import Command, DefinitionError
from sagas_framework.errors import ContradictoryMessages, UnusableContract
from sagas_framework.vocabulary.contracts import refuse_contradictions
from sagas_framework.vocabulary.names import failure_task_name, run_child_task_name, success_task_name

MESSAGE_FILE = """
from dataclasses import dataclass
from sagas_framework import Command

@dataclass(frozen=True)
class Payload:
    "{words}"
    title: {title_type}
    number: {number}

@dataclass(frozen=True)
class Response:
    done: {done}

message = Command("kitchen.create", "{queue}", Payload, {response}, title="{title}")
"""
AS_IT_IS = {
    "number": "int",
    "done": "bool",
    "queue": "kitchen.commands",
    "response": "Response",
    "title": "Create",
    "title_type": "str",
    "words": "Asks",
}


@dataclass(frozen=True)
class Ask:
    number: int


@dataclass
class Branch:
    branches: "list[Branch]"
    leaf: Ask


@dataclass
class Twig:
    branches: "list[Branch]"
    leaf: Ask


@dataclass
class OtherTwig:
    branches: "list[OtherTwig]"
    leaf: "list[OtherTwig]"


def module_of(directory: Path, name: str, **changes: str) -> ModuleType:
    """A message file, imported from a place of its own under this name."""
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}.py"
    path.write_text(MESSAGE_FILE.format(**AS_IT_IS | changes))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def without_these_modules() -> Any:
    yield
    for name in ("one_message", "other_message"):
        sys.modules.pop(name, None)


def test_a_command_knows_where_it_was_written() -> None:
    line = sys._getframe().f_lineno + 1
    command = Command("a", "q", Ask)
    assert command.place == f"{__file__}:{line}"
    renamed = replace(command, name="b")
    assert renamed.place == f"{__file__}:{line + 2}"
    typed = Command[Ask, None]("a", "q", Ask)
    assert typed.place == f"{__file__}:{line + 4}"
    assert command == Command("a", "q", Ask) and hash(command) == hash(Command("a", "q", Ask))
    assert "place" not in repr(command)


def test_what_is_said_twice_alike_is_no_mistake(tmp_path: Path) -> None:
    one = module_of(tmp_path / "one", "one_message")
    other = module_of(tmp_path / "other", "other_message", title="Another title", words="Other words")
    refuse_contradictions([one.message, one.message, other.message])


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"queue": "bar.commands"}, "queue 'kitchen.commands' / 'bar.commands'"),
        ({"number": "str"}, "payload one_message.Payload / other_message.Payload"),
        ({"number": "int = 1"}, "payload one_message.Payload / other_message.Payload"),
        ({"title_type": "int"}, "payload one_message.Payload / other_message.Payload"),
        ({"done": "str"}, "response one_message.Response / other_message.Response"),
        ({"response": "None"}, "response one_message.Response / None"),
        ({"queue": "bar.commands", "number": "str"}, "queue 'kitchen.commands' / 'bar.commands', payload one_message"),
    ],
)
def test_a_command_that_is_declared_twice_differently_is_refused_with_both_places(
    tmp_path: Path, change: dict[str, str], difference: str
) -> None:
    one = module_of(tmp_path, "one_message")
    other = module_of(tmp_path, "other_message", **change)
    places = rf"{tmp_path}/one_message.py:15 and, differently, at {tmp_path}/other_message.py:15"
    with pytest.raises(ContradictoryMessages, match=re.escape(f"{places}: {difference}")):
        refuse_contradictions([one.message, other.message])


def test_a_command_that_is_called_like_anothers_reply_is_refused_with_both_places() -> None:
    command = Command("kitchen.create", "q", Ask)
    for name in (success_task_name(command.name), failure_task_name(command.name)):
        like_a_reply = Command(name, "q", Ask)
        with pytest.raises(ContradictoryMessages, match=r"called like a reply to 'kitchen.create'") as refused:
            refuse_contradictions([like_a_reply, command])
        assert command.place in str(refused.value) and like_a_reply.place in str(refused.value)


def test_a_queue_for_replies_takes_no_commands_but_those_of_an_orchestrator_to_itself() -> None:
    replies = {"orders.replies": "saga 'CreateOrder'"}
    refuse_contradictions([Command(run_child_task_name("Pay"), "orders.replies", Ask)], reply_queues=replies)
    lost = Command("orders.create", "orders.replies", Ask)
    with pytest.raises(ContradictoryMessages, match=r"'orders.replies' is the reply queue of saga 'CreateOrder'") as no:
        refuse_contradictions([lost], reply_queues=replies)
    assert f"'orders.create' ({lost.place})" in str(no.value)


def test_two_classes_of_one_name_are_refused_unless_they_are_alike(tmp_path: Path) -> None:
    one = module_of(tmp_path / "one", "one_message").message
    alike = module_of(tmp_path / "alike", "one_message").message
    other = replace(module_of(tmp_path / "other", "one_message", done="str").message, name="kitchen.other")
    refuse_contradictions([one, replace(alike, name="kitchen.alike")])
    with pytest.raises(
        ContradictoryMessages, match=r"two different classes are called one_message.Response"
    ) as refused:
        refuse_contradictions([one, other])
    assert f"response of 'kitchen.create' ({one.place})" in str(refused.value)
    assert f"response of 'kitchen.other' ({other.place})" in str(refused.value)


def declared_twice(one: Any, other: Any) -> None:
    """As fields of two classes, in two declarations of one command."""
    refuse_contradictions([Command("a", "q", make_dataclass("P", [("it", it)])) for it in (one, other)])


def test_classes_within_may_be_called_otherwise_and_used_more_often() -> None:
    item, order_item = (make_dataclass(name, [("number", int)]) for name in ("Item", "OrderItem"))
    declared_twice(tuple[item, item], tuple[order_item, item])  # type: ignore[valid-type]
    declared_twice(Branch, Twig)
    with pytest.raises(ContradictoryMessages, match="declared at"):
        declared_twice(Branch, OtherTwig)


@pytest.mark.parametrize(("one", "other"), [({"title": "a"}, {"title": "b"}), ({"title": "a"}, {}), (["a"], ["b"])])
def test_values_are_no_words(one: Any, other: Any) -> None:
    fields = [Annotated[Any, Field(default=value)] for value in (one, other, one)]
    declared_twice(fields[0], fields[2])
    with pytest.raises(ContradictoryMessages, match="declared at"):
        declared_twice(*fields[:2])


def test_a_class_deep_inside_is_looked_at_as_well(tmp_path: Path) -> None:
    one, other = (module_of(tmp_path / type_, "one_message", number=type_).Payload for type_ in ("int", "str"))
    around = [make_dataclass(f"Around{n}", [("them", list[inner])]) for n, inner in enumerate((one, other))]  # type: ignore[valid-type]
    with pytest.raises(ContradictoryMessages, match=r"two different classes are called one_message.Payload"):
        refuse_contradictions([Command("a", "q", around[0])], data={"data of saga 'S'": around[1]})


def test_what_cannot_travel_is_refused_with_its_command() -> None:
    @dataclass
    class Odd:
        it: type

    command = Command("kitchen.create", "q", Ask, Odd)
    with pytest.raises(UnusableContract, match=rf"response of 'kitchen.create' \({command.place}\): .*Odd.it cannot"):
        refuse_contradictions([command])
    with pytest.raises(DefinitionError, match=r"data of saga 'S': .*Odd.it cannot"):
        refuse_contradictions([], data={"data of saga 'S'": Odd})
