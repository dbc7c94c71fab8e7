"""Commands, failures, correlations and identities."""

import uuid
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas_framework import (
    Command,
    DefinitionError,
    Failure,
    FailureKind,
    Refusal,
    TransientError,
    failure_task_name,
    success_task_name,
)
from sagas_framework.errors import in_one_line
from sagas_framework.vocabulary.correlation import HEADER, Correlation
from sagas_framework.vocabulary.identity import Direction, is_saga_id, message_id, new_saga_id, reply_id

SAGA = "01920000-0000-7000-8000-000000000001"
PLACE = Correlation("orders", SAGA, "create", Direction.ACTION, 1)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


# ---- commands and failures ------------------------------------------------------------------------------------------


def test_the_names_of_replies_follow_from_their_commands() -> None:
    assert success_task_name("kitchen.create") == "kitchen.create.response.success"
    assert failure_task_name("kitchen.create") == "kitchen.create.response.failure"


@pytest.mark.parametrize("name, queue", [("", "q"), ("n", "")])
def test_a_command_needs_a_name_and_a_queue(name: str, queue: str) -> None:
    with pytest.raises(DefinitionError, match="needs a name and a queue"):
        Command(name, queue, dict)


@pytest.mark.parametrize("contract", [int, list, object])
def test_what_a_command_carries_is_a_dataclass_or_a_dict(contract: type[Any]) -> None:
    with pytest.raises(DefinitionError, match="a dataclass, dict or SagaContext"):
        Command("n", "q", contract)
    with pytest.raises(DefinitionError, match="a dataclass, dict or SagaContext"):
        Command("n", "q", dict, contract)


@dataclass(frozen=True)
class Odd(Exception):
    text: str

    def __str__(self) -> str:
        return self.text


@pytest.mark.parametrize("text", ["", "plain", "a \x00 in it", "half \ud83d", "x" * 100_000])
def test_a_failure_of_any_error_is_bounded_and_can_be_stored(text: str) -> None:
    failure = Failure.of(Odd(text))
    assert failure.type == "Odd" and failure.module == __name__
    for value in failure.to_wire().values():
        value.encode()
        assert "\x00" not in value and len(value) <= 20_000


class OutOfStock(Refusal):
    pass


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OutOfStock("no plates"), FailureKind.REFUSED),
        (TransientError("later"), FailureKind.TRANSIENT),
        (TimeoutError("slow"), FailureKind.TRANSIENT),
        (ZeroDivisionError("division by zero"), FailureKind.ERROR),
    ],
)
def test_what_was_raised_says_which_kind_of_failure_it_is(error: Exception, kind: FailureKind) -> None:
    assert Failure.of(error, transient=(TimeoutError,)).kind is kind


@pytest.mark.rule(1)
@pytest.mark.parametrize("kind", FailureKind)
def test_the_kind_of_a_failure_is_stored_with_it_and_does_not_travel_in_its_payload(kind: FailureKind) -> None:
    failure = Failure("E", "m", "x", "t", kind)
    assert failure.to_wire() == {"type": "E", "message": "m", "module": "x", "traceback": "t"}
    assert Failure.from_json(failure.to_json()) == failure
    assert Failure.from_wire(failure.to_wire(), kind) == failure


def test_a_failure_that_was_stored_without_a_kind_is_an_error() -> None:
    assert Failure.from_json(Failure("E", "m").to_wire()) == Failure("E", "m", kind=FailureKind.ERROR)


@given(json_values)
def test_any_failure_that_comes_can_be_read(value: Any) -> None:
    failure = Failure.from_wire(value)
    assert failure.type and all(isinstance(part, str) for part in failure.to_wire().values())


def test_a_traceback_may_come_as_a_list_of_lines() -> None:
    failure = Failure.from_wire({"type": "E", "message": "m", "module": "x", "traceback": ["one\n", "two\n"]})
    assert failure == Failure("E", "m", "x", "one\ntwo\n")
    assert Failure.from_wire(failure.to_wire()) == failure


# ---- correlation ----------------------------------------------------------------------------------------------------


@pytest.mark.rule(2)
@pytest.mark.parametrize(
    "place",
    [
        PLACE,
        replace(PLACE, reply_queue="replies", traceparent="00-1-2-01"),
        replace(PLACE, in_reply_to="x", failure_kind=FailureKind.TRANSIENT),
        replace(PLACE, direction=Direction.COMPENSATION, attempt=7, unconditional=True),
    ],
)
def test_a_correlation_comes_back_as_it_was_sent(place: Correlation) -> None:
    assert Correlation.from_headers({HEADER: place.to_header()}) == place


NO_ATTEMPTS: list[Any] = [0, -1, True, None, "1", 1.5, float("inf"), float("nan"), 2**31, [], {"a": 1}]
NO_NAMES: list[Any] = ["", None, 7, "\x00", "\ud800", "x" * 300]
NO_TEXTS: list[Any] = ["", 7, ["x"], {}]
NO_DIRECTIONS: list[Any] = ["sideways", None, ["action"]]
NONSENSE: list[dict[str, Any]] = [
    *({"attempt": value} for value in NO_ATTEMPTS),
    *({name: value} for name in ("orchestrator", "saga", "step") for value in NO_NAMES),
    *({name: "x" * 121} for name in ("orchestrator", "saga")),
    *({name: value} for name in ("reply_queue", "in_reply_to", "traceparent") for value in NO_TEXTS),
    *({"direction": value} for value in NO_DIRECTIONS),
    {"failure_kind": "?"},
]


@pytest.mark.rule(2)
@pytest.mark.parametrize(
    "change",
    NONSENSE,
    ids=repr,
)
def test_a_header_that_says_nonsense_is_none_of_ours(change: dict[str, Any]) -> None:
    assert Correlation.from_headers({HEADER: PLACE.to_header() | change}) is None


@given(json_values)
def test_no_header_however_hostile_raises(value: Any) -> None:
    Correlation.from_headers(value)
    Correlation.from_headers({HEADER: value})
    for name in PLACE.to_header():
        Correlation.from_headers({HEADER: PLACE.to_header() | {name: value}})


@given(st.text(), st.text(), st.text(), st.integers())
def test_what_is_read_from_a_header_fits_the_columns_of_a_participant(o: str, saga: str, step: str, n: int) -> None:
    header = {"orchestrator": o, "saga": saga, "step": step, "direction": "action", "attempt": n}
    place = Correlation.from_headers({HEADER: header})
    if place is not None:
        assert len(place.orchestrator) <= 120 and len(place.saga) <= 120 and len(place.step) <= 255
        assert "\x00" not in place.orchestrator + place.saga + place.step


# ---- identities -----------------------------------------------------------------------------------------------------


@pytest.mark.rule(1)
def test_saga_ids_are_time_ordered_uuids() -> None:
    ids = [new_saga_id() for _ in range(200)]
    assert len(set(ids)) == 200
    assert all(uuid.UUID(value).version == 7 and uuid.UUID(value).variant == uuid.RFC_4122 for value in ids)
    milliseconds = [uuid.UUID(value).int >> 80 for value in ids]
    assert milliseconds == sorted(milliseconds)
    assert all(is_saga_id(value) for value in ids)


@given(json_values)
def test_only_a_uuid_in_its_one_form_is_a_saga_id(value: Any) -> None:
    assert not is_saga_id(value)
    assert not is_saga_id(SAGA.upper().replace("0", "A")) and not is_saga_id(f"{{{SAGA}}}") and is_saga_id(SAGA)


places = st.tuples(
    st.sampled_from(["orders", "rides"]),
    st.sampled_from([SAGA, SAGA[:-1] + "2"]),
    st.sampled_from(["a", "a1", "1", "action"]),
    st.sampled_from(list(Direction)),
    st.integers(1, 30),
)


@pytest.mark.rule(2)
@given(places, places)
def test_a_message_id_stands_for_one_attempt_of_one_step_in_one_direction(one: Any, other: Any) -> None:
    assert (message_id(*one) == message_id(*other)) == (one == other)


def test_the_answers_to_a_message_have_ids_of_their_own_which_stay() -> None:
    assert reply_id("m", True) == reply_id("m", True)
    assert len({reply_id("m", True), reply_id("m", False), reply_id("n", True)}) == 3


def test_an_error_whose_text_cannot_be_made_is_a_failure_like_any_other() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    failure = Failure.of(Mute())
    assert failure.type.endswith("Mute") and "ValueError" in failure.message
    assert in_one_line(Mute()) == failure.message
