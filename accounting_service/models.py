"""Money held on cards."""

from enum import StrEnum

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class AuthorizationStatus(StrEnum):
    AUTHORIZED = "authorized"
    VOIDED = "voided"


class CardAuthorization(Base):
    __tablename__ = "card_authorizations"

    transaction_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    # Not unique on purpose: one authorization a saga is the framework's promise, and the acceptance tests
    # count the rows. A constraint here would hide a broken promise behind a refusal.
    saga_id: Mapped[str] = mapped_column(String(36), index=True)
    card_id: Mapped[int]
    amount_cents: Mapped[int]
    status: Mapped[str] = mapped_column(String(20), default=AuthorizationStatus.AUTHORIZED.value)
