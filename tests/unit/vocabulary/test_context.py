"""SagaContext: a mapping that is also reached by attributes, and comes back from JSON as it was."""

import copy
import pickle
from datetime import date
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas_framework import SagaContext, SagasError
from sagas_framework.errors import NotInContext, PayloadRefused
from sagas_framework.vocabulary import codec

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(words, json_values, max_size=5))
def test_what_json_knows_comes_back_as_it_was(values: dict[str, Any]) -> None:
    encoded = codec.encode(SagaContext, SagaContext(values), "data")
    assert encoded == values
    assert codec.decode(SagaContext, encoded, "data") == SagaContext(values)


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"day": date(2020, 1, 1)}, "day is datetime.date"),
        ({"orders": [{"day": {1, 2}}]}, "orders.0.day is {1, 2}"),
        ({"prices": {1: 2.0}}, "prices has the key 1"),
        ({"price": nan}, "price is nan"),
        ({"price": inf}, "price is inf"),
    ],
)
def test_what_would_come_back_as_something_else_is_refused_and_named(values: dict[str, Any], where: str) -> None:
    with pytest.raises(PayloadRefused, match=where):
        codec.encode(SagaContext, SagaContext(values), "data")


def test_names_are_keys_and_attributes_alike() -> None:
    context = SagaContext({"user": "Ada"}, exam="algebra")
    assert (context.user, context["exam"]) == ("Ada", "algebra")
    context.attempt = 1
    context["grade"] = None
    del context.user
    del context["exam"]
    assert dict(context) == {"attempt": 1, "grade": None} == dict(context.items())
    assert len(context) == 2 and "attempt" in context and context.get("user", "nobody") == "nobody"
    assert repr(context) == "SagaContext({'attempt': 1, 'grade': None})"


@pytest.mark.parametrize("look", [lambda context: context["exma"], lambda context: context.exma])
def test_a_missing_name_is_an_error_that_names_those_there_are(look: Any) -> None:
    with pytest.raises(NotInContext, match="the saga's context has no 'exma'; it has 'user', 'exam'") as missing:
        look(SagaContext(user="Ada", exam="algebra"))
    assert isinstance(missing.value, KeyError) and isinstance(missing.value, AttributeError)
    assert isinstance(missing.value, SagasError)


@pytest.mark.parametrize("remove", [lambda context: context.pop("x"), lambda context: delattr(context, "x")])
def test_what_is_not_there_cannot_be_removed(remove: Any) -> None:
    with pytest.raises(NotInContext, match="it has nothing yet"):
        remove(SagaContext())


@pytest.mark.parametrize("name", ["items", "update", "_values"])
def test_a_name_that_an_attribute_could_not_read_is_not_written_as_one(name: str) -> None:
    context = SagaContext()
    with pytest.raises(AttributeError, match=f"write context\\['{name}'\\]"):
        setattr(context, name, 1)
    context[name] = 1
    assert context[name] == 1


def test_copies_are_contexts_of_their_own() -> None:
    context = SagaContext(names=["Ada"])
    deep, pickled = copy.deepcopy(context), pickle.loads(pickle.dumps(context))
    context.names.append("Bob")
    assert deep == pickled == SagaContext(names=["Ada"])
