"""The parking slots."""

from enum import StrEnum
from uuid import uuid4

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class SlotStatus(StrEnum):
    AVAILABLE = "available"
    BLOCKED = "blocked"
    RESERVED = "reserved"


class ParkingSlot(Base):
    __tablename__ = "parking_slots"

    uuid: Mapped[str] = mapped_column(String(36), primary_key=True, default=lambda: str(uuid4()))
    name: Mapped[str] = mapped_column(String(100))
    status: Mapped[str] = mapped_column(String(20), default=SlotStatus.AVAILABLE.value)
    ref_no: Mapped[str | None] = mapped_column(String(73))
    """The parking_slot_ref_no of the booking that has blocked or reserved it."""
