"""A till tells of an order; a saga that starts with it has it packed, and tells of that; the books note it."""

from dataclasses import dataclass

from sagas_framework import Command, Event

TILL_QUEUE = "till.commands"
OFFICE_REPLIES = "office.replies"
OFFICE_EVENTS = "office.events"
BOOKS_EVENTS = "books.events"


@dataclass(frozen=True)
class Pack:
    order_id: int


@dataclass(frozen=True)
class OrderPlaced:
    order_id: int


@dataclass(frozen=True)
class OrderPacked:
    order_id: int


pack = Command("till.pack", TILL_QUEUE, Pack)
placed = Event("till.order_placed", "till", payload=OrderPlaced, key="order_id", subscribers=[OFFICE_EVENTS])
packed = Event("office.order_packed", "office", payload=OrderPacked, key="order_id", subscribers=[BOOKS_EVENTS])
