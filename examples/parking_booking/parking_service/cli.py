"""python -m examples.parking_booking.parking_service.cli --help"""

from uuid import UUID

import click
from sqlalchemy import select

from examples.parking_booking.command_line import CommandLine, Shown, print_details, print_one_a_line
from examples.parking_booking.parking_service.models import ParkingSlot
from examples.parking_booking.parking_service.worker import participant
from sagas_framework import reading_session

assert participant.engine is not None and participant.sessions is not None  # the worker gives it a database
engine, sessions = participant.engine, participant.sessions


def shown(slot: ParkingSlot) -> Shown:
    return {"uuid": slot.uuid, "name": slot.name, "status": slot.status}


@click.group(cls=CommandLine)
def cli() -> None:
    """The parking slots."""


@cli.command("create_parking_slot")
@click.option("--name", required=True)
def create_parking_slot(name: str) -> None:
    """A new slot, available at once."""
    with sessions.begin() as session:
        slot = ParkingSlot(name=name)
        session.add(slot)
        session.flush()  # which fills in what is left to its columns
        details = shown(slot)
    print_details(details)


@cli.command("parking_slot_list")
def parking_slot_list() -> None:
    """All slots, by name."""
    with reading_session(engine) as session:
        print_one_a_line(map(shown, session.scalars(select(ParkingSlot).order_by(ParkingSlot.name, ParkingSlot.uuid))))


@cli.command("parking_slot_details")
@click.argument("uuid", type=click.UUID)
def parking_slot_details(uuid: UUID) -> None:
    """One slot."""
    with reading_session(engine) as session:
        slot = session.get(ParkingSlot, str(uuid))
        if slot is None:
            raise click.ClickException(f"there is no slot {uuid}")
        print_details(shown(slot))


if __name__ == "__main__":
    cli()
