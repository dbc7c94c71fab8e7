"""What travels beside an event: read back as it was written, and garbage is none."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sagas_framework.vocabulary.correlation import HEADER, Correlation
from sagas_framework.vocabulary.event import MAX_AGGREGATE_CHARACTERS
from sagas_framework.vocabulary.names import MAX_SOURCE_CHARACTERS, is_source
from sagas_framework.vocabulary.occurrence import MAX_NUMBER, EventHeader
from sagas_framework.vocabulary.text import is_storable
from tests.support.orchestration import raw_delivery

GOOD: dict[str, Any] = {"source": "bank", "aggregate": "account=1", "number": 7}


def text(most: int) -> st.SearchStrategy[str]:
    return st.text(min_size=1, max_size=most).filter(is_storable)


headers = st.builds(
    EventHeader,
    source=st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}", fullmatch=True).filter(is_source),
    aggregate=text(MAX_AGGREGATE_CHARACTERS),
    number=st.integers(1, MAX_NUMBER),
    again=st.booleans(),
)
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(headers)
def test_a_header_is_read_as_it_was_written(header: EventHeader) -> None:
    assert EventHeader.from_headers({HEADER: header.to_header(), "task": "bank.moved"}) == header


@given(json | st.fixed_dictionaries({HEADER: json}))
def test_garbage_is_no_header_and_raises_nothing(garbage: Any) -> None:
    assert EventHeader.from_headers(garbage) is None


@given(st.sampled_from(sorted(GOOD)), json)
def test_with_one_field_of_another_kind_it_is_none_or_another_good_one(field: str, value: Any) -> None:
    header = EventHeader.from_headers({HEADER: GOOD | {field: value}})
    kind = int if field == "number" else str
    assert header is None or (isinstance(value, kind) and getattr(header, field) == value)


def test_numbers_that_are_none_are_refused() -> None:
    for number in (0, -1, True, 1.0, "1", None, MAX_NUMBER + 1):
        assert EventHeader.from_headers({HEADER: GOOD | {"number": number}}) is None


def test_a_source_after_which_no_broker_would_name_a_queue_is_none() -> None:
    for source in ("amq.evil", "\u20ac" * 100, "a\nb", "a b", "x" * (MAX_SOURCE_CHARACTERS + 1), "", ".hidden"):
        assert EventHeader.from_headers({HEADER: GOOD | {"source": source}}) is None


def test_an_event_is_no_command_and_a_command_no_event() -> None:
    assert Correlation.from_headers({HEADER: GOOD}) is None
    place = {"orchestrator": "o", "saga": "s", "step": "t", "direction": "action", "attempt": 1}
    assert Correlation.from_headers({HEADER: place}) is not None
    assert EventHeader.from_headers({HEADER: place}) is None


def test_an_event_that_was_sent_again_is_a_suspect() -> None:
    """On Redis a killed worker's message comes back only after the visibility timeout: the relay's copy is first."""
    assert not suspect(GOOD)
    assert suspect(GOOD | {"again": True})
    assert suspect(GOOD, redelivered=True)
    assert not suspect(None) and not suspect([]) and not suspect({"again": "yes"})


def suspect(header: Any, *, redelivered: bool = False) -> bool:
    return raw_delivery("[]", "bank.moved", redelivered=redelivered, sagas=header).suspect
