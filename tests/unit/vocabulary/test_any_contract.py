"""What contracts promise, for every kind of annotation: what is sent is read as it was, or is not sent; what is read is
what its annotation allows; and the schema of the document says the same as the code."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, make_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Flag
from functools import cache
from math import inf, nan
from typing import Annotated, Any, Literal, NewType, get_args
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from pydantic import AfterValidator, Field

from sagas_framework import SagaContext
from sagas_framework.asyncapi.schemas import Schemas
from sagas_framework.errors import PayloadRefused, UnusableContract
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.usable import refuse_unusable
from tests.unit.vocabulary.zoo import (
    SURVIVING,
    Code,
    Colour,
    Derived,
    Incomparable,
    Line,
    Mood,
    OrderId,
    Pair,
    Size,
    Spot,
    Tree,
    holder_of,
    is_one_of,
    is_same,
)

KINDS = list(SURVIVING)
kinds = st.sampled_from(KINDS)

words = st.text(max_size=5) | st.sampled_from(
    ["a", "red", "good", "card", "1", "1.5", "true", "NaN", "EUR", "P1D", "2020-01-01", "2020-01-01T01:02:03Z", "01:02"]
)
names = words | st.sampled_from(
    ["it", "x", "y", "kind", "number", "dish", "value", "children", "from", "left", "double"]
)
scalars = st.none() | st.booleans() | st.integers(-3, 103) | st.floats(allow_nan=False, allow_infinity=False) | words
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)


@cache
def validator_of(annotation: Any) -> Draft7Validator:
    """By the schema as it stands in a document."""
    contract = holder_of(annotation)
    schemas = Schemas({contract: "Holder"})
    return Draft7Validator({**schemas.of(contract), "components": {"schemas": schemas.components}})


def travelled(annotation: Any, value: Any) -> tuple[Any, Any]:
    """The JSON of a value, and what is read from it at the other end."""
    contract = holder_of(annotation)
    encoded = codec.encode(contract, contract(value), "payload")
    return encoded, codec.decode(contract, json.loads(json.dumps(encoded)), "payload").it


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """JSON with one of its parts replaced, left out or added."""
    if isinstance(value, (dict, list)) and value and draw(st.integers(0, 3)):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = draw(st.sampled_from(keys))
        copy: Any = value.copy()
        if isinstance(copy, dict) and draw(st.integers(0, 5)) == 0:
            copy[draw(names)] = draw(json_values)
        elif draw(st.integers(0, 5)) == 0:
            del copy[key]
        else:
            copy[key] = draw(changed(copy[key]))
        return copy
    return draw(json_values)


@st.composite
def anything_received(draw: st.DrawFn) -> tuple[Any, Any]:
    annotation = draw(kinds)
    honest, _ = travelled(annotation, draw(st.sampled_from(SURVIVING[annotation])))
    return annotation, draw(changed(honest))


# ---- round trips ----------------------------------------------------------------------------------------------------


def _first_alone(them: list[int]) -> list[int]:
    return them[:1]


@pytest.mark.parametrize("annotation", KINDS, ids=str)
def test_what_is_sent_is_read_as_it_was(annotation: Any) -> None:
    refuse_unusable(holder_of(annotation), "payload")
    for value in SURVIVING[annotation]:
        encoded, read = travelled(annotation, value)
        assert is_same(value, read) and is_one_of(read, annotation)
        validator_of(annotation).validate(encoded)


@given(st.data(), kinds.filter(lambda kind: Any not in (kind, *get_args(kind))))
def test_whatever_value_of_whatever_type_is_read_as_it_was_or_not_sent(data: st.DataObject, annotation: Any) -> None:
    value = data.draw(st.from_type(type(None) if annotation is None else annotation))
    try:
        encoded, read = travelled(annotation, value)
    except PayloadRefused:
        return
    assert is_same(value, read)
    validator_of(annotation).validate(encoded)


@dataclass(frozen=True)
class Stand(Spot):
    """A Spot with something of its own."""

    roof: bool = True


@dataclass(frozen=True)
class Seat:
    """Nobody could tell its JSON from a Spot's."""

    x: int


@dataclass(frozen=True, eq=False)
class Agreeable:
    """Its like is whatever it is compared with."""

    x: int

    def __eq__(self, other: object) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class MoreAgreeable(Agreeable):
    y: int = 0


class Kept(dict[str, Any]):
    """Nothing is lost when it becomes a dictionary."""


@pytest.mark.parametrize(
    ("annotation", "value", "complaint"),
    [
        (float | None, inf, "it: this float would be read as a NoneType; send what its annotation declares"),
        (float | None, nan, "it: this float would be read as a NoneType"),
        (float, 2**60 + 1, "it: this int would be read as a float"),
        (Incomparable, Incomparable(inf), "it.number: this float would be read as a NoneType"),
        (Derived, Derived(number=1, note=nan), "it.note: this float would be read as a NoneType"),
        (Decimal | str, "1.50", "it: this str would be read as a Decimal"),
        (datetime | str, "2020-01-01T00:00:00", "it: this str would be read as a datetime"),
        (UUID | str, str(UUID(int=1)), "it: this str would be read as a UUID"),
        (Literal[1] | bool, True, "it: this bool would be read as a int"),
        (list[int] | set[int], {1}, "it: this set would be read as a list"),
        (Sequence[int], (1,), "it: this tuple would be read as a list"),
        (dict[int | str, int], {1: 1}, "it.1: nobody would read it"),
        (Any, {"a": [1, (2,)]}, "it.a.1: this tuple would be read as a list"),
        (dict[str, Any], {"day": date.min}, "it.day: this date would be read as a str"),
        (Colour, "red", "it: this str would be read as a Colour"),
        (date, "2020-01-01", "it: this str would be read as a date"),
        (Line, {"dish": "soup"}, "it: this dict would be read as a Line"),
        (Spot, Stand(1), "it: this Stand would be read as a Spot; give each class a field that says which"),
        (Agreeable, MoreAgreeable(1, 2), "it: this MoreAgreeable would be read as a Agreeable"),
        (tuple[int, str], Pair(1, "a"), "it: this Pair would be read as a tuple"),
        (Annotated[list[int], AfterValidator(sorted)], [2, 1], "it.0: this int would be read as another int"),
        (
            Annotated[list[int], AfterValidator(_first_alone)],
            [2, 1],
            "it: this list would be read as another list",
        ),
        (Spot | Seat, Seat(1), "it: this Seat would be read as a Spot; give each class a field that says which"),
        (list[Seat | Spot], [Seat(1), Spot(1)], "it.1: this Spot would be read as a Seat"),
        (
            datetime,
            datetime(1850, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")),
            "it: this datetime would be read as another",
        ),
    ],
    ids=lambda part: re.sub(r" at 0x[0-9a-f]+", "", str(part)),
)
def test_what_would_be_read_as_something_else_is_not_sent(annotation: Any, value: Any, complaint: str) -> None:
    with pytest.raises(PayloadRefused, match=re.escape(f"payload: {complaint}")):
        travelled(annotation, value)


@pytest.mark.parametrize(
    ("annotation", "value", "read_as"),
    [
        (str, Colour.RED, "red"),
        (int, Size.LARGE, 2),
        (float, 1, 1.0),
        (dict[str, Any], Kept(a=1), {"a": 1}),
    ],
    ids=str,
)
def test_what_is_a_special_case_of_what_is_declared_is_read_as_that(annotation: Any, value: Any, read_as: Any) -> None:
    assert is_same(travelled(annotation, value)[1], read_as)


@pytest.mark.parametrize("contract", [dict, SagaContext])
def test_data_without_a_declaration_are_jsons_own_values_or_not_sent(contract: Any) -> None:
    assert codec.encode(contract, contract({"a": [1, {"b": None}]}), "data") == {"a": [1, {"b": None}]}
    for value in (date.min, (1,), {1: 2}, inf):
        with pytest.raises(PayloadRefused, match=r"data: .*day"):
            codec.encode(contract, contract({"day": value}), "data")


# ---- receiving ------------------------------------------------------------------------------------------------------


@given(anything_received())
def test_what_is_read_is_what_its_annotation_allows_and_its_schema_describes(received: tuple[Any, Any]) -> None:
    annotation, value = received
    try:
        read = codec.decode(holder_of(annotation), value, "payload")
    except PayloadRefused:
        return
    assert is_one_of(read.it, annotation)
    if annotation not in MORE_TOLERANT:
        validator_of(annotation).validate(value)


# What a reader takes besides what the schema describes. Nobody who writes by the schema writes it, nor do we.
MORE_TOLERANT: dict[Any, Any] = {
    Literal["a", 7, True]: 1,
    Size: True,
    set[UUID]: [str(UUID(int=1))] * 2,
    frozenset[str]: ["a", "a"],
    frozenset[Spot]: [{"x": 1}] * 2,
    Pair: {"left": 1, "right": "a"},
    datetime: "1767225600",
    Decimal: "1_000",
    Decimal | int: "1_000",
    Derived: {"number": 1, "double": "not read: it follows from the number"},
}


@pytest.mark.parametrize("annotation", MORE_TOLERANT, ids=str)
def test_where_a_reader_is_more_tolerant_than_its_schema(annotation: Any) -> None:
    value = {"it": MORE_TOLERANT[annotation]}
    assert is_one_of(codec.decode(holder_of(annotation), value, "payload").it, annotation)
    assert not validator_of(annotation).is_valid(value)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, 1.0),  # JSON Schema knows numbers only
        (date, "someday"),  # a format is a hint
        (datetime, "2020-13-01T00:00:00"),
        (UUID, "one"),
        (Annotated[Decimal, Field(max_digits=3)], "1E+3"),  # nothing counts the digits of a power
        (Annotated[Decimal, Field(ge=0)], "-1"),  # nor compares a text
        (dict[int, str], {"one": "a"}),  # nothing is said of keys
        (Code, "EUR\n"),  # what $ means differs
    ],
    ids=str,
)
def test_where_a_schema_takes_what_no_reader_does(annotation: Any, value: Any) -> None:
    with pytest.raises(PayloadRefused):
        codec.decode(holder_of(annotation), {"it": value}, "payload")
    assert validator_of(annotation).is_valid({"it": value})


# ---- contracts that cannot work -------------------------------------------------------------------------------------


@dataclass
class Unknown:
    number: int
    it: "list[Nowhere]"  # type: ignore[name-defined]  # noqa: F821


class Anything:
    """No dataclass."""


@dataclass
class Odd:
    it: Anything


@dataclass
class OddInside:
    number: int
    odd: Odd


@dataclass
class Shrub:
    """What a Tree is."""

    value: int
    children: list["Shrub"]


class Topping(Flag):
    CHEESE = 1
    HAM = 2


Ticket = NewType("Ticket", int)


@pytest.mark.parametrize(
    ("contract", "complaint"),
    [
        (Unknown, "Unknown.it cannot travel as JSON: name 'Nowhere' is not defined"),
        (OddInside, "Odd.it cannot travel as JSON: Unable to generate pydantic-core schema for "),
        (holder_of(Callable[[], int]), "Holder.it cannot travel as JSON: Cannot generate a JsonSchema"),
        (holder_of(Iterable[int]), "Holder.it would be read lazily, unchecked; declare a list[...]"),
        (holder_of(Literal[Mood.GOOD]), "Holder.it allows <Mood.GOOD: 'good'>, which is not read from its own JSON"),
        (holder_of(list[Literal[b"a"]]), "Holder.it allows b'a', which is not read from its own JSON"),
        (holder_of(Topping | None), "Holder.it is Topping, of which several may be set"),
        (holder_of(Spot | Seat), "Holder.it is Spot or Seat, and their JSON is the same"),
        (holder_of(dict[str, list[Seat | Spot | None]]), "Holder.it is Seat or Spot, and their JSON is the same"),
        (holder_of(Shrub | Tree), "Holder.it is Shrub or Tree, and their JSON is the same"),
        (holder_of(Colour | str), "Holder.it is Colour or str, and their JSON is the same"),
        (holder_of(float | Size), "Holder.it is Size or float, and their JSON is the same"),
        (holder_of(list[int] | tuple[int, ...]), "Holder.it is list or tuple, and their JSON is the same"),
        (holder_of(set[int] | frozenset[int]), "Holder.it is set or frozenset, and their JSON is the same"),
    ],
)
def test_what_can_never_be_carried_is_refused_with_its_class_and_field(contract: Any, complaint: str) -> None:
    with pytest.raises(UnusableContract, match=re.escape(f"payload of it: {complaint}")):
        refuse_unusable(contract, "payload of it")


@pytest.mark.parametrize(
    ("annotation", "made", "problem"),
    [
        (int, lambda: None, "Input should be a valid integer"),
        (int, lambda: "zzz", "Input should be a valid integer"),
        (float, lambda: inf, "Input should be a valid number"),
        (Colour, lambda: "red", "this str would be read as a Colour"),
        (Spot | None, lambda: {"x": 1}, "this dict would be read as a Spot"),
        (list[Tree], lambda: [Tree("?")], "0.value: Input should be a valid integer"),  # type: ignore[arg-type]
        (int, lambda: 1 // 0, "integer division or modulo by zero"),
    ],
    ids=lambda part: re.sub(r" at 0x[0-9a-f]+", "", str(part)),
)
def test_a_default_that_its_annotation_does_not_allow_is_refused(
    annotation: Any, made: Callable[[], Any], problem: str
) -> None:
    late = make_dataclass("Late", [("it", annotation, field(default_factory=made))])
    with pytest.raises(UnusableContract, match=rf"^payload: Late.it has a default .*{re.escape(problem)}"):
        refuse_unusable(make_dataclass("Around", [("them", list[late])]), "payload")  # type: ignore[valid-type]


def test_a_default_that_is_no_factorys_is_looked_at_as_well() -> None:
    late = make_dataclass("Late", [("it", int, None)])
    with pytest.raises(UnusableContract, match=r"^payload: Late.it has a default that its annotation does not allow"):
        refuse_unusable(late, "payload")


@pytest.mark.parametrize("annotation", KINDS, ids=str)
def test_what_survives_as_a_value_may_be_a_default(annotation: Any) -> None:
    for value in SURVIVING[annotation]:
        default = field(default_factory=[value].pop)  # called once at most: the list is empty then
        refuse_unusable(make_dataclass("Late", [("it", annotation, default)]), "payload")


@pytest.mark.parametrize(
    "annotation",
    [
        OrderId | Ticket,
        Colour | Code,
        list[Spot] | list[int],
        Annotated[list[int], Field(max_length=2)] | Annotated[tuple[int, ...], Field(min_length=3)],
        Mood | Size,
        Literal[Colour.RED, Size.LARGE],
        Spot | Line,
        Annotated[int, Field(json_schema_extra={"type": "generator"})] | None,
    ],
    ids=str,
)
def test_a_union_whose_members_can_be_told_apart_or_need_not_be_is_not_refused(annotation: Any) -> None:
    refuse_unusable(holder_of(annotation), "payload")
