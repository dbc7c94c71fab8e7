"""The orders."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, DateTime, String, bindparam, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class OrderStatus(StrEnum):
    PENDING_VALIDATION = "pending_validation"
    APPROVED = "approved"
    REJECTED = "rejected"


class OrderIsNotPending(Exception):
    """Only an order that waits for validation can be approved or rejected, and only once."""


@dataclass
class OrderItem:
    name: str
    quantity: int


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    saga_id: Mapped[str | None] = mapped_column(String(36), index=True)
    consumer_id: Mapped[int]
    card_id: Mapped[int]
    items: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    amount: Mapped[int]
    """In whole units of the currency."""
    status: Mapped[str] = mapped_column(String(20), default=OrderStatus.PENDING_VALIDATION.value)
    restaurant_ticket_id: Mapped[int | None]
    transaction_id: Mapped[str | None] = mapped_column(String(36))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=lambda: datetime.now(UTC))


_SETTLE = (
    update(Order)
    .where(Order.id == bindparam("order_id"), Order.status == OrderStatus.PENDING_VALIDATION.value)
    .values(status=bindparam("settled"), restaurant_ticket_id=bindparam("ticket"), transaction_id=bindparam("paid"))
    .returning(Order.id)
    .execution_options(synchronize_session=False)
)


def settle_order(
    session: Session, order_id: int, status: OrderStatus, ticket_id: int | None, transaction_id: str | None
) -> None:
    """The order's last word, together with what the other services gave it on the way."""
    given = {"order_id": order_id, "settled": status.value, "ticket": ticket_id, "paid": transaction_id}
    if session.execute(_SETTLE, given).first() is None:
        raise OrderIsNotPending(f"Order {order_id} does not wait for validation; it cannot become {status.value}")
