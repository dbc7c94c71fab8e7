"""Every kind of annotation that a contract may use, with values of it; and what tells whether a value is one of it."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, NewType, Union, get_args, get_origin, get_type_hints
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import Field
from typing_extensions import TypedDict


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


class Mood(Enum):
    GOOD = "good"
    FINE = 3


@dataclass(frozen=True)
class Line:
    dish: str
    count: int = 1
    price: Decimal | None = None


@dataclass(frozen=True)
class Order:
    number: int
    lines: list[Line] = field(default_factory=list)
    first: Line | None = None
    by_table: dict[int, tuple[Line, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Spot:
    x: int


@dataclass(frozen=True)
class Place:
    """What a Spot is, and more."""

    x: int
    y: int = 0


@dataclass(frozen=True)
class Card:
    number: str
    kind: Literal["card"] = "card"


@dataclass(frozen=True)
class Account:
    number: str
    kind: Literal["account"] = "account"


@dataclass
class Tree:
    value: int
    children: list[Tree] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Derived:
    """`double` is not handed in; `note` does not count when two are compared."""

    number: int
    note: float | None = field(default=None, compare=False)
    double: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.double = self.number * 2


@dataclass(eq=False)
class Incomparable:
    number: float | None


@dataclass(frozen=True)
class Aliased:
    sender: Annotated[str, Field(alias="from")]


class Address(TypedDict):
    street: str
    number: int


class Pair(NamedTuple):
    left: int
    right: str


OrderId = NewType("OrderId", int)
Percent = Annotated[int, Field(ge=0, le=100)]
Code = Annotated[str, Field(pattern="^[A-Z]{3}$")]

BERLIN = ZoneInfo("Europe/Berlin")
IN_SUMMER_TIME = datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN)  # an hour that this night has twice
ONE = UUID(int=1)

SURVIVING: dict[Any, Sequence[Any]] = {
    int: [0, -1, 2**80],
    float: [0.0, -1.5, 1e300, 5e-324],
    bool: [True, False],
    str: ["", "æ🐉", "2020-01-01", "\\u0000"],
    None: [None],
    date: [date.min, date(2024, 2, 29), date.max],
    datetime: [
        datetime(2024, 2, 29, 1, 2, 3, 4),
        datetime(2024, 1, 1, tzinfo=UTC),
        datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-9, minutes=-30))),
        IN_SUMMER_TIME,
        IN_SUMMER_TIME.replace(fold=1),
    ],
    time: [time(1, 2, 3, 4), time(23, tzinfo=UTC)],
    timedelta: [timedelta(0), timedelta(days=-5, microseconds=3), timedelta.max],
    Decimal: [Decimal("0.10"), Decimal("1E+30"), Decimal("-0")],
    UUID: [ONE],
    bytes: [b"", "æ".encode()],
    Colour: [Colour.RED],
    Size: [Size.LARGE],
    Mood: [Mood.GOOD, Mood.FINE],
    Literal["a", 7, True]: ["a", 7, True],
    Percent: [0, 100],
    Code: ["EUR"],
    OrderId: [OrderId(7)],
    list[int]: [[], [1, 2]],
    tuple[int, str]: [(1, "a")],
    tuple[date, ...]: [(), (date.min,)],
    set[UUID]: [set(), {ONE}],
    frozenset[str]: [frozenset({"a", "b"})],
    frozenset[Spot]: [frozenset({Spot(1), Spot(2)})],
    dict[str, list[int]]: [{}, {"a": [1]}],
    dict[int, str]: [{1: "a", -2: "b"}],
    dict[UUID, int]: [{ONE: 1}],
    dict[Colour, int]: [{Colour.RED: 1}],
    dict[date, int]: [{date.min: 1}],
    dict[str, Any]: [{"a": [1, None, {"b": 1.5}]}],
    Any: [None, [1, "a", {"b": True}]],
    int | None: [1, None],
    int | str: [1, "1"],
    bool | int: [True, 1],
    float | int: [1, 1.0],
    Decimal | int: [Decimal("1"), 1],
    Decimal | str: [Decimal("1.50"), "one"],
    date | str: [date.min, "tomorrow"],
    date | datetime: [date.min, datetime(2024, 1, 1), datetime(2024, 1, 1, 5)],
    datetime | str: [datetime(2024, 1, 1), "tomorrow"],
    UUID | str: [ONE, "one"],
    Colour | int: [Colour.RED, 1],
    Spot | Place: [Spot(1), Place(1), Place(1, 2)],
    Place | Spot: [Spot(1), Place(1, 2)],
    Card | Account: [Card("1"), Account("1")],
    list[Card | Account] | Card: [Card("1"), [Card("1"), Account("1")]],
    Annotated[Card | Account, Field(discriminator="kind")]: [Card("1"), Account("1")],
    Line | str | None: [Line("soup"), "soup", None],
    Address: [{"street": "Elm", "number": 13}],
    Pair: [Pair(1, "a")],
    Order: [Order(1), Order(1, [Line("soup", 2, Decimal("1.50"))], Line("bread"), {3: (Line("tea"),)})],
    Tree: [Tree(1, [Tree(2), Tree(3, [Tree(4)])])],
    Derived: [Derived(number=2, note=0.5)],
    Incomparable: [Incomparable(1.5), Incomparable(None)],
    Aliased: [Aliased("Ada")],
}


@cache
def holder_of(annotation: Any) -> Any:
    """A contract with one field of this annotation."""
    return make_dataclass("Holder", [("it", annotation)])


def is_one_of(value: Any, annotation: Any) -> bool:  # noqa: C901
    """Whether the annotation allows the value, told by Python's own rules and nothing of pydantic's."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return True
    if annotation is None:
        return value is None
    if hasattr(annotation, "__supertype__"):
        return is_one_of(value, annotation.__supertype__)
    if origin is Annotated:
        in_bounds = (annotation != Percent or 0 <= value <= 100) and (annotation != Code or str(value).isupper())
        return in_bounds and is_one_of(value, arguments[0])
    if origin in (Union, types.UnionType):
        return any(is_one_of(value, member) for member in arguments)
    if origin is Literal:
        return any(value == known and type(value) is type(known) for known in arguments)
    if origin is dict:
        key, kept = arguments
        return type(value) is dict and all(is_one_of(k, key) and is_one_of(v, kept) for k, v in value.items())
    if origin is tuple and arguments[1:] != (...,):
        fits = type(value) is tuple and len(value) == len(arguments)
        return fits and all(is_one_of(one, kind) for one, kind in zip(value, arguments, strict=True))
    if origin is not None:
        return type(value) is origin and all(is_one_of(one, arguments[0]) for one in value)
    if isinstance(value, (dict, tuple)) and annotation in (Address, Pair):
        parts: Mapping[str, Any] = value if isinstance(value, dict) else value._asdict()  # type: ignore[attr-defined]
        hints = get_type_hints(annotation)
        return parts.keys() == hints.keys() and all(is_one_of(parts[name], hint) for name, hint in hints.items())
    if type(value) is not annotation:
        return False
    if is_dataclass(annotation):
        hints = get_type_hints(annotation, include_extras=True)
        return all(is_one_of(getattr(value, one.name), hints[one.name]) for one in fields(annotation))
    return True


def is_same(one: Any, other: Any) -> bool:
    """The same value of the same type, all the way down."""
    if type(one) is not type(other):
        return False
    if is_dataclass(one):
        return all(is_same(getattr(one, part.name), getattr(other, part.name)) for part in fields(one))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, datetime) and one.tzinfo:
        return bool(one.utcoffset() == other.utcoffset() and one.replace(tzinfo=None) == other.replace(tzinfo=None))
    return bool(one == other)
