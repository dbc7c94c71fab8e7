"""Money held on cards."""

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Authorization(Base):
    __tablename__ = "authorizations"

    order_id: Mapped[int] = mapped_column(primary_key=True)
    card_id: Mapped[int]
    amount: Mapped[int]
