"""What was billed, and what became of it."""

from enum import StrEnum

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class BillingStatus(StrEnum):
    PAID = "paid"
    REFUNDED = "refunded"


class BillingRequest(Base):
    __tablename__ = "billing_requests"

    id: Mapped[int] = mapped_column(primary_key=True)
    reference_no: Mapped[str] = mapped_column(String(73), unique=True)
    total: Mapped[int]
    """In whole units of the currency."""
    status: Mapped[str] = mapped_column(String(20), default=BillingStatus.PAID.value)
