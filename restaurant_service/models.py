"""The kitchen's tickets."""

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class TicketStatus(StrEnum):
    CREATED = "created"
    APPROVED = "approved"
    REJECTED = "rejected"


class Ticket(Base):
    __tablename__ = "tickets"

    id: Mapped[int] = mapped_column(primary_key=True)
    # Not unique on purpose: one ticket a saga is the framework's promise, and the acceptance tests count the
    # rows. A constraint here would hide a broken promise behind a refusal.
    saga_id: Mapped[str] = mapped_column(String(36), index=True)
    order_id: Mapped[int]
    customer_id: Mapped[int]
    items: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    status: Mapped[str] = mapped_column(String(20), default=TicketStatus.CREATED.value)
