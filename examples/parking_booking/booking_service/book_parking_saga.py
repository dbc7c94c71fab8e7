"""A slot is blocked, paid for and reserved, and the booking says so; or nothing of it is left, and it is rejected."""

from dataclasses import dataclass

from examples.parking_booking.booking_service.models import Booking, BookingStatus
from examples.parking_booking.messages import (
    BOOKING_REPLIES_QUEUE,
    Bill,
    BillOfBooking,
    SlotOfBooking,
    authorize_payment,
    block,
    refund,
    reserve,
    unblock,
)
from sagas_framework import PIVOT, AsyncStep, Saga, StepContext, SyncStep, send


@dataclass
class BookingData:
    parking_slot_ref_no: str
    total: int
    booking_id: int | None = None


def create_booking(data: BookingData, step: StepContext) -> None:
    booking = Booking(parking_slot_ref_no=data.parking_slot_ref_no)
    step.session.add(booking)
    step.session.flush()  # the database gives the id
    data.booking_id = booking.id


def approve_booking(data: BookingData, step: StepContext) -> None:
    set_status(data, BookingStatus.APPROVED, step)


def mark_as_paid(data: BookingData, step: StepContext) -> None:
    set_status(data, BookingStatus.PAID, step)


def reject_booking(data: BookingData, step: StepContext) -> None:
    set_status(data, BookingStatus.REJECTED, step)


def set_status(data: BookingData, status: BookingStatus, step: StepContext) -> None:
    step.session.get_one(Booking, data.booking_id).status = status.value


def its_slot(data: BookingData, step: StepContext) -> SlotOfBooking:
    return SlotOfBooking(data.parking_slot_ref_no)


def its_bill(data: BookingData, step: StepContext) -> Bill:
    return Bill(data.parking_slot_ref_no, data.total)


def its_payment(data: BookingData, step: StepContext) -> BillOfBooking:
    return BillOfBooking(data.parking_slot_ref_no)


class BookParking(Saga[BookingData]):
    response_queue = BOOKING_REPLIES_QUEUE
    steps = (
        SyncStep("create_booking", action=create_booking, compensation=reject_booking),
        AsyncStep("block_slot", block, action=its_slot, compensation=send(unblock, its_slot)),
        SyncStep("approve_booking", action=approve_booking),
        AsyncStep("authorize_payment", authorize_payment, action=its_bill, compensation=send(refund, its_payment)),
        # The last one that may say no: refused, it refunds and unblocks; done, there is nothing left that could fail.
        AsyncStep("reserve_slot", reserve, action=its_slot, kind=PIVOT),
        SyncStep("mark_as_paid", action=mark_as_paid),
    )
