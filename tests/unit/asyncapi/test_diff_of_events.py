"""Two documents of a service with events: whom a change breaks, of those who publish and those who subscribe."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from sagas_framework import Event, EventContext, create_orchestrator, create_subscriber, handles
from sagas_framework.asyncapi import Specification
from sagas_framework.asyncapi.diff import differences
from sagas_framework.asyncapi.document import Document

EVENT, MAIL, BOOKS = "shop.order_placed", "mail.events", "books.events"


def published_and_handled(
    payload: type[Any], *, key: str = "order_id", source: str = "shop", subscribers: Sequence[str] = (MAIL,)
) -> tuple[Document, Document]:
    """The documents of a publisher and of a subscriber, when this is what the event looks like."""
    event = Event(EVENT, source=source, payload=payload, key=key, subscribers=subscribers)

    @handles(event.payload)
    def take(event: Any, context: EventContext) -> None:
        pass

    handlers = ModuleType(__name__)
    vars(handlers).update(take=take)
    common: dict[str, Any] = {"broker": "memory://", "database_url": "sqlite://"}
    publisher = create_orchestrator("shop", sagas=[], publishes=[payload], **common)
    if MAIL not in subscribers:
        return document_of(publisher), {}
    return document_of(publisher), document_of(create_subscriber("mail", queue=MAIL, handlers=[handlers], **common))


def document_of(application: Any) -> Document:
    application.engine.dispose()
    return Specification(application, title="A", version="1", description="B.").document()


def one() -> type[Any]:
    @dataclass(frozen=True)
    class OrderPlaced:
        order_id: str
        amount: int

    return OrderPlaced


def with_a_required_field() -> type[Any]:
    @dataclass(frozen=True)
    class OrderPlaced:
        order_id: str
        amount: int
        currency: str

    return OrderPlaced


def with_an_optional_field() -> type[Any]:
    @dataclass(frozen=True)
    class OrderPlaced:
        order_id: str
        amount: int
        currency: str = "EUR"

    return OrderPlaced


def without_a_field() -> type[Any]:
    @dataclass(frozen=True)
    class OrderPlaced:
        order_id: str

    return OrderPlaced


def told(old: Document, new: Document) -> list[tuple[str, str, str]]:
    return [(each.kind, each.where, each.what) for each in differences(old, new)]


AT_MAIL = f"{EVENT}.to.{MAIL} payload"


@pytest.mark.parametrize(
    ("changed", "to_the_readers", "to_the_senders"),
    [
        (with_a_required_field, ("addition", "is a new required field"), ("breakage", "is a new required field")),
        (with_an_optional_field, ("addition", "is a new optional field"), ("addition", "is a new optional field")),
    ],
)
def test_a_new_field_is_judged_by_who_has_to_send_it(
    changed: Any, to_the_readers: tuple[str, str], to_the_senders: tuple[str, str]
) -> None:
    (published, handled), (published_now, handled_now) = published_and_handled(one()), published_and_handled(changed())
    for old, new, (kind, what) in (
        (published, published_now, to_the_readers),
        (handled, handled_now, to_the_senders),
    ):
        assert told(old, new) == [(kind, f"{AT_MAIL}.currency", what)]


def test_a_field_that_is_gone_breaks_the_reader_of_each_queue() -> None:
    both = [MAIL, BOOKS]
    old, _ = published_and_handled(one(), subscribers=both)
    new, _ = published_and_handled(without_a_field(), subscribers=both)
    assert told(old, new) == [
        ("breakage", f"{EVENT}.to.{queue} payload.amount", "the field is removed") for queue in (BOOKS, MAIL)
    ]


def test_a_queue_taken_away_breaks_its_reader_and_a_new_one_nobody() -> None:
    fewer, _ = published_and_handled(one())
    more, _ = published_and_handled(one(), subscribers=[MAIL, BOOKS])
    assert told(more, fewer) == [("breakage", f"{EVENT}.to.{BOOKS}", "the operation is removed")]
    assert told(fewer, more) == [("addition", f"{EVENT}.to.{BOOKS}", "is a new operation")]


def test_the_first_subscriber_breaks_nobody_and_taking_the_last_one_away_breaks_that_one() -> None:
    nobody, _ = published_and_handled(one(), subscribers=[])
    somebody, _ = published_and_handled(one())
    assert told(nobody, somebody) == [
        ("addition", f"{EVENT}.to.{MAIL}", "is a new operation"),
        ("note", f"{EVENT}.to.nobody", "the operation is removed: it had no queue, and no reader"),
    ]
    assert [kind for kind, *_ in told(somebody, nobody)] == ["breakage", "addition"]


def test_an_event_that_is_about_something_else_breaks_both_sides() -> None:
    @dataclass(frozen=True)
    class OrderPlaced:
        order_id: str
        amount: int

    before, after = published_and_handled(one()), published_and_handled(OrderPlaced, key="amount")
    for old, new in zip(before, after, strict=True):
        what = 'has pattern "^amount="; it was "^order_id="'
        assert told(old, new) == [("breakage", f"{EVENT}.to.{MAIL} headers.sagas.aggregate", what)]


def test_another_source_breaks_whoever_sends_the_receipts() -> None:
    old, new = (published_and_handled(one(), source=source)[0] for source in ("shop", "store"))
    removed = ("breakage", "sagas.receipts.at.shop.receipts", "the operation is removed")
    assert removed in told(old, new)
    assert ("breakage", f"{EVENT}.to.{MAIL} headers.sagas.source", 'may now be "store"') in told(old, new)


def test_the_same_said_twice_is_no_difference() -> None:
    for old, new in zip(published_and_handled(one()), published_and_handled(one()), strict=True):
        assert told(old, new) == []
