"""The published language of the four services. To see who waits for whom, follow the subscribers."""

from dataclasses import dataclass

from sagas_framework import Event

ORDERS, CONSUMERS, RESTAURANT, ACCOUNTING = "orders", "consumers", "restaurant", "accounting"
ORDERS_EVENTS = "orders.events"
CONSUMERS_EVENTS = "consumers.events"
RESTAURANT_EVENTS = "restaurant.events"
ACCOUNTING_EVENTS = "accounting.events"


@dataclass(frozen=True)
class OrderPlaced:
    order_id: int
    consumer_id: int
    dish: str
    card_id: int
    amount: int


@dataclass(frozen=True)
class ConsumerVerified:
    """Dish, card and amount are none of the consumers' business; whoever comes later needs them."""

    order_id: int
    dish: str
    card_id: int
    amount: int


@dataclass(frozen=True)
class ConsumerRefused:
    order_id: int
    why: str


@dataclass(frozen=True)
class TicketCreated:
    """Card and amount are none of the restaurant's business either."""

    order_id: int
    card_id: int
    amount: int


@dataclass(frozen=True)
class TicketRefused:
    order_id: int
    why: str


@dataclass(frozen=True)
class CardAuthorized:
    order_id: int


@dataclass(frozen=True)
class CardRefused:
    order_id: int
    why: str


order_placed = Event("orders.order_placed", ORDERS, payload=OrderPlaced, key="order_id", subscribers=[CONSUMERS_EVENTS])
consumer_verified = Event(
    "consumers.verified", CONSUMERS, payload=ConsumerVerified, key="order_id", subscribers=[RESTAURANT_EVENTS]
)
consumer_refused = Event(
    "consumers.refused", CONSUMERS, payload=ConsumerRefused, key="order_id", subscribers=[ORDERS_EVENTS]
)
ticket_created = Event(
    "restaurant.ticket_created", RESTAURANT, payload=TicketCreated, key="order_id", subscribers=[ACCOUNTING_EVENTS]
)
ticket_refused = Event(
    "restaurant.ticket_refused", RESTAURANT, payload=TicketRefused, key="order_id", subscribers=[ORDERS_EVENTS]
)
card_authorized = Event(
    "accounting.card_authorized",
    ACCOUNTING,
    payload=CardAuthorized,
    key="order_id",
    subscribers=[ORDERS_EVENTS, RESTAURANT_EVENTS],
)
card_refused = Event(
    "accounting.card_refused",
    ACCOUNTING,
    payload=CardRefused,
    key="order_id",
    subscribers=[ORDERS_EVENTS, RESTAURANT_EVENTS],
)
