"""What the parking service does when a booking asks. Each statement says itself which slot it may touch."""

from sqlalchemy import ColumnElement, update

from examples.parking_booking.messages import SlotOfBooking, block, reserve, unblock
from examples.parking_booking.parking_service.models import ParkingSlot, SlotStatus
from sagas_framework import HandlerContext, Refusal, handles


class SlotUnavailable(Refusal):
    """There is no such slot, or somebody else has it."""


class SlotNotBlocked(Refusal):
    """What this booking had blocked, it has no longer."""


@handles(block, database_only=True)
def block_slot(payload: SlotOfBooking, step: HandlerContext) -> None:
    free = (ParkingSlot.uuid == payload.slot_uuid) & (ParkingSlot.status == SlotStatus.AVAILABLE.value)
    if not _change(step, free, SlotStatus.BLOCKED, payload.parking_slot_ref_no):
        raise SlotUnavailable(f"The slot {payload.slot_uuid} is not available.")


@handles(unblock, database_only=True)
def unblock_slot(payload: SlotOfBooking, step: HandlerContext) -> None:
    # Whether there was one or not: what the booking has no longer is another's now, and stays as it is.
    _change(step, _blocked_for(payload), SlotStatus.AVAILABLE, None)


@handles(reserve, database_only=True)
def reserve_slot(payload: SlotOfBooking, step: HandlerContext) -> None:
    if not _change(step, _blocked_for(payload), SlotStatus.RESERVED, payload.parking_slot_ref_no):
        raise SlotNotBlocked(f"The slot {payload.slot_uuid} is not blocked for this booking any more.")


def _blocked_for(payload: SlotOfBooking) -> ColumnElement[bool]:
    return (ParkingSlot.ref_no == payload.parking_slot_ref_no) & (ParkingSlot.status == SlotStatus.BLOCKED.value)


def _change(step: HandlerContext, which: ColumnElement[bool], status: SlotStatus, ref_no: str | None) -> bool:
    """Whether there is such a slot. Looking and changing are one statement: nobody comes in between."""
    changed = update(ParkingSlot).where(which).values(status=status.value, ref_no=ref_no).returning(ParkingSlot.uuid)
    return step.session.scalar(changed) is not None
