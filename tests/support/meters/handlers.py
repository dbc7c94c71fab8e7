"""What both services do with their databases. Nothing is unique there on purpose: that each thing is done once and in
its order is the framework's promise, and the tests count."""

import os
import signal

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sagas_framework import EventContext, HandlerContext, handles
from tests.support.meters.messages import Bill, MeterBilled, MeterRead, bill


class Base(DeclarativeBase):
    pass


class Written(Base):
    """A line of somebody's book; the ids are in the order in which they were written."""

    __tablename__ = "written"

    id: Mapped[int] = mapped_column(primary_key=True)
    book: Mapped[str] = mapped_column(String(20))
    meter: Mapped[str] = mapped_column(String(200))
    reading: Mapped[int]


def make_trouble(event: MeterRead) -> None:
    if "METERS_MENDED" in os.environ:
        return
    if event.trouble == "raise":
        raise ValueError(f"meter {event.meter} cannot be read")
    if event.trouble == "kill":
        os.kill(os.getpid(), signal.SIGKILL)


@handles(bill)
def write_bill(payload: Bill, step: HandlerContext) -> None:
    step.session.add(Written(book=f"bill {payload.why}", meter=payload.meter, reading=payload.reading))


@handles(MeterRead)
def write_reading(event: MeterRead, context: EventContext) -> None:
    make_trouble(event)
    context.session.add(Written(book="readings", meter=event.meter, reading=context.number))


@handles(MeterBilled)
def write_billed(event: MeterBilled, context: EventContext) -> None:
    context.session.add(Written(book="billed", meter=event.bill, reading=context.number))
