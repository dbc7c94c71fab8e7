"""python -m examples.parking_booking.booking_service.cli --help"""

from uuid import UUID, uuid4

import click
from sqlalchemy import select

from examples.parking_booking.booking_service.book_parking_saga import BookingData, BookParking
from examples.parking_booking.booking_service.models import Booking
from examples.parking_booking.booking_service.worker import orchestrator
from examples.parking_booking.command_line import CommandLine, Shown, print_details, print_one_a_line
from sagas_framework import WaitTimedOut, reading_session

PRICE_PER_HOUR = 5
"""In whole units of the currency."""


def shown(booking: Booking) -> Shown:
    return {"id": booking.id, "status": booking.status, "parking_slot_ref_no": booking.parking_slot_ref_no}


@click.group(cls=CommandLine)
def cli() -> None:
    """The bookings."""


@cli.command("create_booking_request")
@click.argument("slot_uuid", type=click.UUID)
@click.option("--hours", type=click.IntRange(1), default=1, show_default=True, help=f"{PRICE_PER_HOUR} each.")
@click.option("--timeout-seconds", type=click.FloatRange(0), default=30.0, show_default=True, help="How long to wait.")
def create_booking_request(slot_uuid: UUID, hours: int, timeout_seconds: float) -> None:
    """Book a slot, and wait until the booking is paid or rejected."""
    data = BookingData(parking_slot_ref_no=f"{slot_uuid}:{uuid4()}", total=hours * PRICE_PER_HOUR)
    try:
        execution = orchestrator.run(BookParking, data, timeout_seconds=timeout_seconds, raise_on_failure=False)
    except WaitTimedOut as error:
        raise click.ClickException(f"Booking request not done yet, it goes on: {error}") from error
    if execution.failure is not None:
        raise click.ClickException(f"Booking request rejected: {execution.failure.message}")
    click.echo("Booking request workflow done.")


@cli.command("booking_list")
def booking_list() -> None:
    """All bookings, the first one first."""
    with reading_session(orchestrator.engine) as session:
        print_one_a_line(map(shown, session.scalars(select(Booking).order_by(Booking.id))))


@cli.command("booking_details_by_parking_ref_no")
@click.argument("parking_slot_ref_no")
def booking_details_by_parking_ref_no(parking_slot_ref_no: str) -> None:
    """One booking."""
    with reading_session(orchestrator.engine) as session:
        booking = session.scalar(select(Booking).where(Booking.parking_slot_ref_no == parking_slot_ref_no))
        if booking is None:
            raise click.ClickException(f"there is no booking {parking_slot_ref_no}")
        print_details(shown(booking))


if __name__ == "__main__":
    cli()
