"""How often a user has sat an exam."""

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Attempt(Base):
    __tablename__ = "attempts"

    user: Mapped[str] = mapped_column(String(100), primary_key=True)
    exam: Mapped[str] = mapped_column(String(100), primary_key=True)
    quantity: Mapped[int]
