"""The kitchen's tickets."""

from enum import StrEnum

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class TicketStatus(StrEnum):
    CREATED = "created"
    APPROVED = "approved"
    REJECTED = "rejected"


class Ticket(Base):
    __tablename__ = "tickets"

    order_id: Mapped[int] = mapped_column(primary_key=True)
    dish: Mapped[str] = mapped_column(String(100))
    status: Mapped[str] = mapped_column(String(20), default=TicketStatus.CREATED.value)
