"""Event declarations: what is refused, when it is, and that the class stands for exactly one event."""

from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest

from sagas_framework import Command, Event, handles
from sagas_framework.errors import ContradictoryMessages, DefinitionError, PayloadRefused
from sagas_framework.events.outbound import Outbound
from sagas_framework.events.wiring import events_by_name
from sagas_framework.vocabulary.contracts import refuse_contradictions
from sagas_framework.vocabulary.event import MAX_AGGREGATE_CHARACTERS, AnyEvent, event_of


@dataclass(frozen=True)
class Told:
    key: Any


def payload(name: str = "Payload", **fields: Any) -> type[Any]:
    return make_dataclass(name, [(field, kind) for field, kind in (fields or {"key": str}).items()], frozen=True)


def declared(name: str = "bank.moved", **changes: Any) -> AnyEvent:
    given: dict[str, Any] = {"source": "bank", "payload": payload(), "key": "key", "subscribers": ["ledger"]} | changes
    return Event(name, **given)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": ""}, "needs a name"),
        ({"name": "n" * 256}, "1 to 255"),
        ({"source": ""}, "its source"),
        ({"source": "s" * 101}, "1 to 100"),
        ({"subscribers": "ledger"}, "names of queues"),
        ({"subscribers": ["ledger", ""]}, "names of queues"),
        ({"subscribers": ["ledger", 7]}, "names of queues"),
        ({"subscribers": ["ledger", "mail", "ledger"]}, "a subscriber twice"),
        ({"subscribers": ["bank.receipts"]}, "receipts go"),
        ({"subscribers": ["\N{SNOWMAN}" * 86]}, "so long a name"),
        ({"payload": dict}, "must be a dataclass"),
        ({"payload": Told("an instance")}, "must be a dataclass"),
        ({"key": "id"}, "is no field of Payload, which has 'key'"),
        ({"payload": make_dataclass("Empty", [])}, "which has none"),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_written(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DefinitionError, match=complaint):
        declared(**changes)


def test_a_class_stands_for_its_event_and_a_subclass_for_none() -> None:
    parent = payload()
    event = declared(payload=parent)
    child: Any = dataclass(frozen=True)(type("Child", (parent,), {}))
    assert event_of(parent) is event and event_of(parent("1")) is event
    for stranger in (child, child("1")):
        problem = "Child is no event, though its base Payload is: exactly the class counts. Hand in Payload, or declare"
        with pytest.raises(DefinitionError, match=problem):
            event_of(stranger)
    with pytest.raises(DefinitionError, match="Told is no event; write"):
        event_of(Told)
    own = declared("bank.child", payload=child)
    assert event_of(child) is own and event_of(parent) is event


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("bank.moved", "'bank.moved' is no event; events are dataclasses"),
        (7, "7 is no event; events are dataclasses"),
        (None, "None is no event"),
        (str, "is no event"),
        (Command("bank.move", "bank.commands", dict), "'bank.move' is a command, and is no event"),
        (declared(), "this is how 'bank.moved' is declared, and is no event itself; hand in the class Payload instead"),
    ],
)
def test_what_stands_for_no_event_is_refused_wherever_a_class_is_asked_for(what: Any, problem: str) -> None:
    def published() -> None:
        Outbound({}).publish(what)

    uses: list[Callable[[], object]] = [lambda: events_by_name([what]), published]
    uses += [] if isinstance(what, Command) else [lambda: handles(what)]
    for use in uses:
        with pytest.raises(DefinitionError, match=problem):
            use()


def test_a_class_is_not_published_but_its_instances() -> None:
    event = declared(payload=payload("Moved"))
    with pytest.raises(PayloadRefused, match="this is the class Moved itself; hand in an instance"):
        Outbound({event.name: event}).publish(event.payload)


def test_a_class_stands_for_one_event_only_but_may_be_declared_twice_alike() -> None:
    shared = payload()
    declared(payload=shared)
    declared(payload=shared)
    with pytest.raises(DefinitionError, match=r"test_declarations.py:\d+\) and of 'bank.other' \(.*which of the two"):
        declared("bank.other", payload=shared)


class Colour(Enum):
    RED = "red"


class Name(StrEnum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("17", "17"),
        (17, "17"),
        (-1, "-1"),
        (UUID(int=5), str(UUID(int=5))),
        (Colour.RED, "red"),
        (Name.RED, "red"),
        (Number.ONE, "1"),
        ("x" * (MAX_AGGREGATE_CHARACTERS - 4), "x" * (MAX_AGGREGATE_CHARACTERS - 4)),
    ],
)
def test_what_an_event_is_about_is_told_by_a_short_text_a_number_or_a_uuid(value: Any, text: str) -> None:
    event = declared(payload=payload(key=Any))
    assert event.key_of(event.payload(value)) == text
    assert event.aggregate_of(event.payload(value)) == f"key={text}"
    assert len(event.aggregate_of(event.payload(value))) <= MAX_AGGREGATE_CHARACTERS


@pytest.mark.parametrize(
    "value", ["", None, True, 1.5, ["17"], b"17", "a\x00b", "\ud800", "x" * (MAX_AGGREGATE_CHARACTERS - 3)]
)
def test_what_an_event_cannot_be_about_is_refused_by_whoever_publishes_it(value: Any) -> None:
    event = declared(payload=payload(key=Any))
    with pytest.raises(PayloadRefused, match="says what it is about"):
        Outbound({event.name: event}).publish(event.payload(value))


def test_what_a_service_does_not_say_that_it_publishes_it_cannot_publish() -> None:
    ours, other = declared("bank.opened", payload=payload("Opened")), declared("bank.closed", payload=payload("Closed"))
    with pytest.raises(DefinitionError, match=r"'bank.closed' is not among .*\(bank.opened\).* Add Closed to `publ"):
        Outbound({ours.name: ours}).publish(other.payload("1"))
    with pytest.raises(DefinitionError, match=r"\(none\)"):
        Outbound({}).publish(other.payload("1"))


# ---- contradictions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"source": "bank2"}, "source 'bank' / 'bank2'"),
        ({"payload": payload(key=str, other=str), "key": "other"}, "key 'key' / 'other'"),
        ({"subscribers": ["mail"]}, r"subscribers \('ledger',\) / \('mail',\)"),
        ({"payload": payload(key=int)}, "payload .*Payload / .*Payload"),
    ],
)
def test_one_name_for_two_different_events_is_refused(changes: dict[str, Any], difference: str) -> None:
    with pytest.raises(ContradictoryMessages, match=f"declared at .*differently, at .*{difference}"):
        refuse_contradictions([], events=[declared(), declared(**changes)])


def test_who_publishes_two_different_events_of_one_name_is_refused() -> None:
    one, other = declared(), declared()
    assert events_by_name([one.payload, one.payload]) == {one.name: one}
    with pytest.raises(ContradictoryMessages, match=r"two events are called 'bank.moved': .*test_declarations.py"):
        events_by_name([one.payload, other.payload])


def test_who_subscribes_may_write_an_event_down_for_itself() -> None:
    refuse_contradictions([], events=[declared(title="As the bank says"), declared(title="As the ledger says")])


@pytest.mark.parametrize("ending", ["", ".response.success", ".response.failure"])
def test_an_event_that_is_called_like_a_command_or_a_reply_is_refused(ending: str) -> None:
    command = Command("bank.move", "bank.commands", dict)
    event = declared(f"bank.move{ending}")
    with pytest.raises(ContradictoryMessages, match="called like a command, or the reply to one"):
        refuse_contradictions([command], events=[event])


def test_an_event_that_is_called_like_the_receipts_is_refused() -> None:
    with pytest.raises(DefinitionError, match="receipts"):
        declared("sagas.receipts")
