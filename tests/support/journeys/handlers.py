"""The agency's handlers: everything they do and undo is a row."""

from types import SimpleNamespace
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sagas_framework import Command, HandlerContext, Refusal, TransientError, handles
from tests.support.journeys import messages


class Base(DeclarativeBase):
    pass


class Deed(Base):
    """Nothing is unique here on purpose: that each is done once is the framework's promise, and the test counts."""

    __tablename__ = "deeds"

    id: Mapped[int] = mapped_column(primary_key=True)
    saga_id: Mapped[str] = mapped_column(String(36))
    thing: Mapped[str] = mapped_column(String(20))
    deed: Mapped[str] = mapped_column(String(10))


def booking(command: Command[Any, Any]) -> Any:
    @handles(command)
    def book(payload: messages.Booking, step: HandlerContext) -> None:
        if payload.refused:
            raise Refusal(f"no {payload.thing} for you")
        if payload.thing == "ticket" and step.attempt == 1:
            raise TransientError("the printer is warming up")
        step.session.add(Deed(saga_id=step.saga_id, thing=payload.thing, deed="done"))

    return book


def cancelling(command: Command[Any, Any]) -> Any:
    @handles(command)
    def cancel(payload: messages.Booking, step: HandlerContext) -> None:
        step.session.add(Deed(saga_id=step.saga_id, thing=payload.thing, deed="undone"))

    return cancel


handlers: Any = SimpleNamespace(
    **{f"book_{thing}": booking(command) for thing, command in messages.book.items()},
    **{f"cancel_{thing}": cancelling(command) for thing, command in messages.cancel.items()},
)
