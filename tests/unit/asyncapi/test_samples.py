"""An example for every message: a value that its own class takes, or an error that says what to do."""

import dataclasses
import datetime
import decimal
import enum
import uuid
from typing import Annotated, Any, Literal, NamedTuple

import jsonschema
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from sagas_framework import Command, DefinitionError
from sagas_framework.asyncapi.exchanges import Exchange
from sagas_framework.asyncapi.messages import Messages

NAME = "zoo.feed"


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Rank(enum.IntEnum):
    FIRST = 1


class Point(NamedTuple):
    x: int
    y: float


@dataclasses.dataclass
class Leaf:
    name: str
    size: int | None = None


@dataclasses.dataclass
class Tree:
    value: int
    parent: "Tree | None"
    children: "list[Tree]"
    named: "dict[str, Tree]"
    pair: "tuple[int, Tree] | None" = None


@dataclasses.dataclass
class Endless:
    inner: "Endless"


@dataclasses.dataclass
class There:
    back: "Back"


@dataclasses.dataclass
class Back:
    there: There | None


SIMPLE = [
    *(
        int,
        float,
        str,
        bool,
        bytes,
        None,
        Any,
        uuid.UUID,
        decimal.Decimal,
        Colour,
        Rank,
        Point,
        Leaf,
        Tree,
        There,
        dict,
    ),
    *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta, Literal["a", 1], set[int], frozenset[str]),
]
BOUNDED = [
    Annotated[int, Field(gt=5, lt=7)],
    Annotated[int, Field(ge=10, le=20, multiple_of=7)],
    Annotated[int, Field(lt=0)],
    Annotated[int, Field(multiple_of=100)],
    Annotated[float, Field(gt=0, lt=1)],
    Annotated[float, Field(multiple_of=0.1)],
    Annotated[decimal.Decimal, Field(gt=100, decimal_places=2)],
    Annotated[decimal.Decimal, Field(lt=4, max_digits=3)],
    Annotated[decimal.Decimal, Field(gt=0, lt=1, max_digits=2, decimal_places=2)],
    pydantic.AwareDatetime,
    pydantic.NaiveDatetime,
    Annotated[str, Field(min_length=50)],
    Annotated[str, Field(max_length=2)],
    Annotated[str, Field(pattern="^[A-Z]{3}$", examples=["EUR"])],
    Annotated[list[int], Field(min_length=3)],
    Annotated[list[int], Field(max_length=0)],
    Annotated[Leaf, Field(description="beside a reference")],
    Annotated[Leaf, Field(examples=[{"name": "oak"}])],
]


LIST: Any = list
TUPLE: Any = tuple
DICT: Any = dict


def compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.sampled_from([str, Colour])
    return st.one_of(
        inner.map(lambda each: LIST[each]),
        inner.map(lambda each: each | None if each is not None else None),
        inner.map(lambda each: TUPLE[each, ...]),
        st.tuples(inner, inner).map(lambda both: TUPLE[both[0], both[1]]),
        st.tuples(keys, inner).map(lambda both: DICT[both[0], both[1]]),
        inner.map(lambda each: dataclasses.make_dataclass("Made", [("inner", each)])),
    )


types = st.recursive(st.sampled_from([*SIMPLE, *BOUNDED]), compound, max_leaves=5)


def payload_of(annotation: Any) -> type[Any]:
    return dataclasses.make_dataclass("Payload", [("value", annotation)])


def example_of(payload: type[Any]) -> Any:
    """What a document shows, which is checked here as whoever reads the document would."""
    command = Command(NAME, "zoo.commands", payload)
    messages = Messages([command])
    message = messages.command(Exchange(command, "receive"), "keeper")
    schema = {"allOf": [message.payload], "components": {"schemas": messages.components}}
    [example] = message.examples
    jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker()).validate(example.payload)
    shown = example.payload[0][1]
    assert command.encode_payload(command.decode_payload(shown)) == shown
    return shown


@pytest.mark.parametrize("annotation", [*SIMPLE, *BOUNDED], ids=str)
def test_each_kind_of_field_has_an_example(annotation: Any) -> None:
    example_of(payload_of(annotation))


@given(types)
@settings(max_examples=40, deadline=None)
def test_whatever_fields_are_made_of_their_example_is_valid(annotation: Any) -> None:
    example_of(payload_of(annotation))


def test_a_class_that_may_hold_itself_is_shown_once() -> None:
    assert example_of(Tree) == {"value": 42, "parent": None, "children": [], "named": {}, "pair": None}
    assert example_of(There) == {"back": {"there": None}}


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        (Endless, "Endless never ends"),
        (Annotated[str, Field(pattern="^[A-Z]{3}$")], "value: String should match pattern"),
        (dict[uuid.UUID, int], "should be a valid UUID"),
        (Annotated[int, Field(examples=["seven"])], "value: Input should be a valid integer"),
        (Annotated[set[int], Field(min_length=2)], "at least 2 items"),
        (Annotated[list[Endless], Field(min_length=1)], "Endless never ends"),
    ],
)
def test_where_no_example_can_be_made_up_the_error_says_of_what_and_what_to_do(annotation: Any, problem: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        example_of(payload_of(annotation))
    told = str(refused.value)
    assert told.startswith(f"no example could be made for '{NAME}': ")
    assert problem in told
    assert told.endswith("give the field one: Annotated[..., pydantic.Field(examples=[...])]")
