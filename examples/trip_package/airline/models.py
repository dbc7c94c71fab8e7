"""The plane tickets that are booked."""

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class PlaneTicket(Base):
    __tablename__ = "plane_tickets"

    saga_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    passenger: Mapped[str] = mapped_column(String(100))
