"""JSON Schema of message classes, in the dialect of AsyncAPI 3."""

import datetime
import json
from dataclasses import dataclass, field, make_dataclass
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import jsonschema
import pytest
from pydantic import AwareDatetime, Field, NaiveDatetime
from typing_extensions import TypeAliasType, TypedDict

from sagas_framework import SagaContext
from sagas_framework.asyncapi.document import to_json
from sagas_framework.asyncapi.schemas import Schemas, field_docs
from sagas_framework.errors import ConfigurationError
from sagas_framework.vocabulary.contracts import content_of
from tests.unit.asyncapi import same_name_message as elsewhere


class Size(Enum):
    """How big."""

    SMALL = "s"
    LARGE = "l"


@dataclass
class Item:
    """Something in a box."""

    title: str
    """Its name."""
    size: Size = Size.SMALL
    """To be packed by."""


class Crate(TypedDict):
    item: Item


ItemAlias = TypeAliasType("ItemAlias", Item)
ItemList = TypeAliasType("ItemList", list[Item])


@dataclass
class Based(Item):
    more: int = 1
    """What its base has not."""


@dataclass
class Tree:
    left: "Tree | None" = None
    all: "list[Tree]" = field(default_factory=list)


@dataclass
class Card:
    kind: Literal["card"]


@dataclass
class Cash:
    kind: Literal["cash"]


Content = TypeVar("Content")


@dataclass
class Wrap(Generic[Content]):
    content: Content
    """What is in it."""


@dataclass
class Order__Item:
    number: int
    """Of the article."""


@dataclass
class Größe:
    metres: int
    """From end to end."""


class Other:
    @dataclass
    class Order__Item:
        weight: int


@dataclass
class Payload:
    pair: tuple[int, Item]
    several: tuple[int, ...]
    paid: Annotated[Card | Cash, Field(discriminator="kind")]
    count: Annotated[int, Field(ge=1, le=9)]
    code: Annotated[str, Field(pattern="^[A-Z]+$", min_length=2)]
    price: Decimal
    at: datetime.datetime
    on: datetime.date
    lasts: datetime.timedelta
    by: UUID
    named: dict[str, Item]
    by_size: dict[Size, int]
    loose: dict[str, Any]


@dataclass
class Failure:
    """Not the framework's."""

    code: int


def of(contract: Any, name: str = "Called", **more: Any) -> dict[str, Any]:
    """A class's own component."""
    schema: dict[str, Any] = components({contract: name}, **more)[name]
    return schema


def components(called: dict[Any, str], **more: Any) -> dict[str, Any]:
    found = Schemas(called, **more).components
    for name, schema in found.items():
        assert schema["title"] == name
        jsonschema.Draft7Validator.check_schema(schema)
        for reference in references(schema):
            assert reference.removeprefix("#/components/schemas/") in found
    return found


def references(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            assert set(schema) == {"$ref"}  # what stands beside it is not read in draft 7
            return [str(schema["$ref"])]
        return [found for value in schema.values() for found in references(value)]
    return [found for value in schema for found in references(value)] if isinstance(schema, list) else []


def test_shared_definitions_are_components_and_a_message_class_is_called_as_it_is_told() -> None:
    found = components({Payload: "ShipPayload"})
    assert set(found) == {"ShipPayload", "Item", "Size", "Card", "Cash"}
    assert "$defs" not in json.dumps(found)


def test_a_tuple_is_written_as_draft_7_writes_it() -> None:
    pair = of(Payload)["properties"]["pair"]
    assert pair == {
        "type": "array",
        "items": [{"type": "integer"}, {"$ref": "#/components/schemas/Item"}],
        "minItems": 2,
        "maxItems": 2,
        "additionalItems": False,
    }
    assert of(Payload)["properties"]["several"] == {"type": "array", "items": {"type": "integer"}}
    validator = jsonschema.Draft7Validator(pair | {"items": [{"type": "integer"}, {}]})
    assert validator.is_valid([1, "x"])
    assert not validator.is_valid(["x", "x"])
    assert not validator.is_valid([1, "x", 2])


def test_constraints_and_formats_are_kept() -> None:
    fields = of(Payload)["properties"]
    assert fields["count"] == {"type": "integer", "minimum": 1, "maximum": 9}
    assert fields["code"] == {"type": "string", "pattern": "^[A-Z]+$", "minLength": 2}
    assert [fields[name]["format"] for name in ("on", "lasts", "by")] == ["date", "duration", "uuid"]
    assert {branch["type"] for branch in fields["price"]["anyOf"]} == {"number", "string"}


def schema_of(annotation: Any) -> dict[str, Any]:
    schema: dict[str, Any] = of(make_dataclass("Holder", [("it", annotation)]))["properties"]["it"]
    return schema


def test_a_decimal_is_no_more_than_what_is_read_as_one() -> None:
    number, text = schema_of(Annotated[Decimal, Field(max_digits=5, decimal_places=2, ge=0)])["anyOf"]
    limits = "A decimal number: at least 0, at most 5 digits, at most 2 decimal places."
    assert number == {
        "type": "number",
        "minimum": 0,
        "exclusiveMinimum": -1000,
        "exclusiveMaximum": 1000,
        "description": limits,
    }
    assert text["description"] == limits
    fits = jsonschema.Draft7Validator({"anyOf": [number, text]}).is_valid
    assert all(map(fits, [0, 999.99, "0", "999.99", "1.500", "1E+2"]))
    assert not any(map(fits, [-1, 1000, "1000", "1.555", "NaN", "Infinity", "much", ""]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (str, Decimal),
        (Decimal, Annotated[Decimal, Field(allow_inf_nan=True)]),
        (Annotated[Decimal, Field(max_digits=10)], Annotated[Decimal, Field(max_digits=5)]),
        (Annotated[Decimal, Field(decimal_places=3)], Annotated[Decimal, Field(decimal_places=2)]),
    ],
)
def test_two_decimals_that_do_not_take_the_same_are_not_published_alike(one: Any, other: Any) -> None:
    assert schema_of(one) != schema_of(other)
    assert content_of(make_dataclass("A", [("it", one)])) != content_of(make_dataclass("A", [("it", other)]))


@pytest.mark.parametrize(
    ("annotation", "taken", "refused"),
    [
        (datetime.datetime, ["2026-01-31T12:30:00", "2026-01-31T12:30:00.000001Z"], ["5", "1767225600", "2026-01-31"]),
        (NaiveDatetime, ["2026-01-31T12:30:00"], ["2026-01-31T12:30:00Z", "1767225600"]),
    ],
)
def test_a_moment_may_be_told_without_an_offset_unless_it_must_have_one(
    annotation: Any, taken: list[str], refused: list[str]
) -> None:
    fits = jsonschema.Draft7Validator(schema_of(annotation)).is_valid
    assert all(map(fits, taken)) and not any(map(fits, refused))
    assert schema_of(AwareDatetime) == {"type": "string", "format": "date-time"}


def test_unions_and_dictionaries_refer_to_components() -> None:
    fields = of(Payload)["properties"]
    assert fields["paid"] == {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Card", "Cash")]}
    assert fields["named"] == {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Item"}}
    assert fields["by_size"]["propertyNames"] == {"$ref": "#/components/schemas/Size"}
    assert fields["loose"] == {"type": "object", "additionalProperties": True}


def test_a_class_may_hold_itself() -> None:
    own = {"$ref": "#/components/schemas/Called"}
    fields = of(Tree)["properties"]
    assert fields["left"]["anyOf"] == [own, {"type": "null"}]
    assert fields["all"] == {"type": "array", "items": own}


def test_what_stands_below_a_field_is_its_description() -> None:
    item = of(Item)
    assert item["description"] == "Something in a box."
    assert item["properties"]["title"] == {"description": "Its name.", "type": "string"}
    assert item["required"] == ["title"]
    assert item["properties"]["size"] == {
        "description": "To be packed by.",
        "default": "s",
        "allOf": [{"$ref": "#/components/schemas/Size"}],
    }


@pytest.mark.parametrize("within", [Crate, list[Crate] | None, ItemAlias, dict[str, ItemAlias], ItemList], ids=str)
def test_a_class_keeps_its_descriptions_whatever_it_stands_in(within: Any) -> None:
    found = components({make_dataclass("Holder", [("it", within)]): "Holder"})
    assert of(Item)["properties"] in [schema.get("properties") for schema in found.values()]


def test_a_field_of_a_base_keeps_its_description() -> None:
    described = {name: schema["description"] for name, schema in of(Based)["properties"].items()}
    assert described == {"title": "Its name.", "size": "To be packed by.", "more": "What its base has not."}


def test_a_class_that_was_made_at_run_time_has_no_descriptions() -> None:
    namespace: dict[str, Any] = {"dataclass": dataclass}
    exec('@dataclass\nclass Made:\n    a: int\n    """Not to be found."""', namespace)
    assert field_docs(namespace["Made"]) == {}


def test_classes_of_one_name_are_told_apart_and_keep_their_descriptions() -> None:
    @dataclass
    class Parcel:
        here: Item
        there: elsewhere.Item

    found = components({Parcel: "Parcel", elsewhere.Payload: "Payload"})
    fields = found["Parcel"]["properties"]
    here, there = (found[fields[name]["$ref"].rpartition("/")[2]] for name in ("here", "there"))
    assert here["properties"]["title"]["description"] == "Its name."
    assert there["properties"]["weight"]["description"] == "In grams."


def test_of_two_messages_that_would_be_called_the_same_the_first_is() -> None:
    found = components({Payload: "DoPayload", elsewhere.Payload: "DoPayload"})
    assert "pair" in found["DoPayload"]["properties"]
    assert "items" in found["SameNamePayload"]["properties"]


def test_a_class_gets_no_name_that_is_taken() -> None:
    @dataclass
    class Report:
        failure: Failure

    found = components({Report: "Report"}, taken=["Failure"])
    [reference] = references(found["Report"])
    name = reference.rpartition("/")[2]
    assert name != "Failure"
    assert set(found[name]["properties"]) == {"code"}


def test_values_in_a_schema_stay_as_they_are() -> None:
    value = {"title": "A", "discriminator": "B", "prefixItems": [1]}

    @dataclass
    class Shelf:
        book: Annotated[dict[str, Any], Field(examples=[value])]

    assert of(Shelf)["properties"]["book"]["examples"] == [value]


def test_a_number_that_json_does_not_know_is_not_written_as_json() -> None:
    assert json.loads(to_json({"a": [1.5, "Infinity"]})) == {"a": [1.5, "Infinity"]}
    for number in (float("inf"), float("nan")):
        with pytest.raises(ConfigurationError, match=r'cannot be written as JSON.*\{"maximum":'):
            to_json({"a": {"maximum": number}})


@pytest.mark.parametrize("contract", [dict, SagaContext])
def test_a_message_without_a_class_is_any_object(contract: Any) -> None:
    schemas = Schemas({contract: "Anything"})
    assert schemas.of(contract) == {"type": "object", "additionalProperties": True}
    assert schemas.components == {}


# ---- names of components ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inner", "names"),
    [
        (Wrap[dict[str, int]], {"Wrap_dict_str__int__"}),
        (Wrap[list[int]], {"Wrap_list_int__"}),
        (Wrap[int | None], {"Wrap_Union_int__NoneType__"}),
        (tuple[Wrap[dict[str, int]], Wrap[dict[str, str]]], {"Wrap_dict_str__int__", "Wrap_dict_str__str__"}),
        (Order__Item, {"Order__Item"}),
        (tuple[Order__Item, Other.Order__Item], {"Order__Item", "OtherOrder__Item"}),
        (Größe, {"Gr__e"}),
    ],
)
def test_a_component_has_the_whole_name_of_its_class(inner: Any, names: set[str]) -> None:
    holder = make_dataclass("Holder", [("inner", inner)])
    made = Schemas({holder: "Holder"})
    assert set(made.components) - {"Holder"} == names
    assert all(schema["title"] == name for name, schema in made.components.items())


def test_a_message_is_named_in_letters_that_asyncapi_allows() -> None:
    assert set(Schemas({Größe: "Größe"}).components) == {"Gr__e"}


@pytest.mark.parametrize(
    ("contract", "name", "told"),
    [
        (Größe, "Gr__e", {"metres": "From end to end."}),
        (Wrap[dict[str, int]], "Wrap_dict_str__int__", {"content": "What is in it."}),
    ],
)
def test_a_class_with_signs_in_its_name_keeps_the_texts_of_its_fields(
    contract: Any, name: str, told: dict[str, str]
) -> None:
    fields = Schemas({contract: name}).components[name]["properties"]
    assert {field: schema["description"] for field, schema in fields.items()} == told
