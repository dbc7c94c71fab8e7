"""Payloads: refused where they are sent when nobody could read them, with the field named."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict

from sagas_framework.errors import PayloadRefused
from sagas_framework.transport.wire import Unreadable, read_arguments
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.command import Failure
from sagas_framework.vocabulary.text import holds_nul, storable


@dataclass(frozen=True)
class Line:
    dish: str
    count: int = 1


@dataclass(frozen=True)
class Order:
    order_id: int
    lines: list[Line] = field(default_factory=list)
    note: str | None = None
    price: float = 0.0


def nested(depth: int, value: Any) -> Any:
    for _ in range(depth):
        value = [value]
    return value


@given(st.builds(Order, st.integers(-(2**60), 2**60), st.lists(st.builds(Line, st.text("abæ🐉"))), st.text("x\\u0")))
def test_what_is_sent_comes_back_as_it_was(order: Order) -> None:
    assert codec.decode(Order, codec.encode(Order, order, "order"), "order") == order


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Order("7"), "order_id"),  # type: ignore[arg-type]
        (Order(1, [Line("soup", "two")]), "lines.0.count"),  # type: ignore[arg-type]
        ({"order_id": 1, "extra": 2}, "extra"),
        ({"order_id": 1, "lines": [{"dish": "soup", "extra": 1}]}, "lines.0.extra"),
        (Order(1, price=float("inf")), "price"),
        ({}, "order_id"),
        (None, "payload"),
        (7, "payload"),
        (Order(1, note="half a pair \ud83d"), "surrogates"),
        (Order(1, note="a \x00 in it"), "NUL"),
        (Order(1, note="x" * codec.MAX_PAYLOAD_BYTES), "bytes long"),
        (object(), "order"),
    ],
)
def test_what_does_not_match_or_cannot_be_read_is_refused_where_it_is_sent(value: Any, named: str) -> None:
    with pytest.raises(PayloadRefused, match=named):
        codec.encode(Order, value, "order")


def test_a_dictionary_may_stand_for_the_dataclass_that_is_declared_and_says_what_its_json_says() -> None:
    encoded = codec.encode(Order, {"order_id": 1, "lines": [{"dish": "soup"}]}, "order")
    assert codec.decode(Order, encoded, "order") == Order(1, [Line("soup")])


@pytest.mark.parametrize(
    "refused",
    [
        lambda: codec.decode(Order, {"order_id": "4111-1111"}, "order"),
        lambda: codec.encode(Order, Order("4111-1111"), "order"),  # type: ignore[arg-type]
        lambda: codec.encode(Order, Order(1, note="4111-1111 \ud83d"), "order"),
        lambda: codec.encode_undeclared("4111-1111", "order"),
    ],
)
def test_a_refused_value_is_not_shown_not_even_in_the_traceback(refused: Callable[[], Any]) -> None:
    with pytest.raises(PayloadRefused) as raised:
        refused()
    failure = Failure.of(raised.value)
    assert "PayloadRefused" in failure.traceback
    shown = [line for line in failure.traceback.splitlines() if "lambda: codec" not in line]
    assert "4111" not in failure.message + "".join(shown)


@dataclass
class Measured:
    """Its writer writes Infinity, which Python's JSON knows and nobody else's."""

    __pydantic_config__ = ConfigDict(ser_json_inf_nan="constants")
    it: float


def test_what_is_no_json_is_refused_whatever_its_class_says() -> None:
    with pytest.raises(PayloadRefused, match="order: it would not be JSON"):
        codec.encode(Measured, Measured(float("inf")), "order")


def test_a_payload_that_contains_itself_is_refused() -> None:
    value: dict[str, Any] = {}
    value["self"] = value
    with pytest.raises(PayloadRefused):
        codec.encode(dict, value, "order")


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"order_id": "7"}, "order_id"),
        ({"order_id": True}, "order_id"),
        ({"order_id": 1.5}, "order_id"),
        ({"order_id": 1, "lines": [{"count": 1}]}, "lines.0.dish"),
        ({"order_id": 1, "lines": {}}, "lines"),
        ([1], "payload"),
        (None, "payload"),
    ],
)
def test_what_comes_is_checked_as_strictly(value: Any, named: str) -> None:
    with pytest.raises(PayloadRefused, match=named):
        codec.decode(Order, value, "order")


def test_what_comes_may_know_fields_that_we_do_not_yet() -> None:
    came = {"order_id": 1, "new": True, "lines": [{"dish": "soup", "spicy": 3}]}
    assert codec.decode(Order, came, "order") == Order(1, [Line("soup")])


@pytest.mark.parametrize("bottom", ["a value", [], {}])
def test_what_may_be_sent_and_what_is_read_is_as_deep_as_documents_say(bottom: Any) -> None:
    most = nested(codec.MAX_DEPTH - 2, bottom)  # and the arguments, and the body
    encoded = codec.encode(dict, {"deep": most[0]}, "order")
    body = json.dumps([["saga", encoded], {}, {}])
    assert read_arguments(body, "application/json") == ("saga", {"deep": most[0]})


@pytest.mark.parametrize("bottom", ["a value", [], {}])
def test_what_is_deeper_by_one_is_neither_sent_nor_read(bottom: Any) -> None:
    deeper = {"deep": nested(codec.MAX_DEPTH - 2, bottom)}
    with pytest.raises(PayloadRefused, match=f"nested more than {codec.MAX_DEPTH - 2} levels deep"):
        codec.encode(dict, deeper, "order")
    with pytest.raises(Unreadable, match="nested too deeply"):
        read_arguments(json.dumps([["saga", deeper], {}, {}]), "application/json")


def test_what_is_nested_without_end_is_not_read() -> None:
    body = '[["saga", ' + "[" * 100_000 + "]" * 100_000 + "], {}, {}]"
    with pytest.raises(Unreadable):
        read_arguments(body, "application/json")


@pytest.mark.parametrize("content_type", [None, "application/x-python-serialize", "text/plain"])
def test_only_json_is_read(content_type: str | None) -> None:
    with pytest.raises(Unreadable, match="content type"):
        read_arguments(b'[["saga", {}], {}, {}]', content_type)


@given(st.text(st.sampled_from("\\u0\x00 a"), max_size=12))
def test_a_nul_is_told_from_text_that_looks_like_one(value: str) -> None:
    assert holds_nul(json.dumps(value)) == ("\x00" in value)


@given(st.text())
def test_ordinary_text_is_left_as_it_is(value: str) -> None:
    assert storable(value) == value.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    storable(value + "\ud800\udfff").encode()


@pytest.mark.parametrize("number", ["1e5000", "-1E999", "1e+400", "1" * 400 + ".0", "0.1e1000"])
def test_a_number_that_no_database_holds_is_not_read(number: str) -> None:
    for payload in (f'{{"deep": [{number}]}}', number):
        with pytest.raises(Unreadable, match="number"):
            read_arguments(f'[["saga", {payload}], {{}}, {{}}]', "application/json")


@pytest.mark.parametrize("number", ["1e300", "1e-5000", "0e999", "1" * 400])
def test_numbers_that_only_look_large_are_read(number: str) -> None:
    read_arguments(f'[["saga", {{"fine": {number}}}], {{}}, {{}}]', "application/json")
