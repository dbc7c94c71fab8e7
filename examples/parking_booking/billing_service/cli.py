"""python -m examples.parking_booking.billing_service.cli --help"""

import click
from sqlalchemy import select

from examples.parking_booking.billing_service.models import BillingRequest
from examples.parking_booking.billing_service.worker import participant
from examples.parking_booking.command_line import CommandLine, Shown, print_details, print_one_a_line
from sagas_framework import reading_session

assert participant.engine is not None  # the worker gives it a database
engine = participant.engine


def shown(bill: BillingRequest) -> Shown:
    return {"id": bill.id, "total": bill.total, "status": bill.status, "reference_no": bill.reference_no}


@click.group(cls=CommandLine)
def cli() -> None:
    """What was billed."""


@cli.command("billing_request_list")
def billing_request_list() -> None:
    """All that was ever charged, the first one first."""
    with reading_session(engine) as session:
        print_one_a_line(map(shown, session.scalars(select(BillingRequest).order_by(BillingRequest.id))))


@cli.command("billing_request_details_by_reference_no")
@click.argument("reference_no")
def billing_request_details_by_reference_no(reference_no: str) -> None:
    """The bill of one booking, by its parking_slot_ref_no."""
    with reading_session(engine) as session:
        bill = session.scalar(select(BillingRequest).where(BillingRequest.reference_no == reference_no))
        if bill is None:
            raise click.ClickException(f"nothing was charged for {reference_no}")
        print_details(shown(bill))


if __name__ == "__main__":
    cli()
