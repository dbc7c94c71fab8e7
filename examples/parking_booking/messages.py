"""The published language of the three services: what the booking service asks of the other two."""

from dataclasses import dataclass

from sagas_framework import Command

PARKING_QUEUE = "parking_service.commands"
BILLING_QUEUE = "billing_service.commands"
BOOKING_REPLIES_QUEUE = "booking_service.replies"


@dataclass(frozen=True)
class SlotOfBooking:
    """`<slot uuid>:<uuid4>`: which slot, and for which booking. No two bookings share one."""

    parking_slot_ref_no: str

    @property
    def slot_uuid(self) -> str:
        return self.parking_slot_ref_no.partition(":")[0]


@dataclass(frozen=True)
class Bill:
    """`reference_no` is the booking's parking_slot_ref_no."""

    reference_no: str
    total: int


@dataclass(frozen=True)
class BillOfBooking:
    reference_no: str


block = Command(
    "parking.block",
    queue=PARKING_QUEUE,
    payload=SlotOfBooking,
    title="Block a parking slot",
    summary="Keeps an available slot for a booking. Refused when it is not available.",
)
unblock = Command(
    "parking.unblock",
    queue=PARKING_QUEUE,
    payload=SlotOfBooking,
    title="Unblock a parking slot",
    summary="Makes a slot available again that was blocked for this very booking; no other slot is touched.",
)
reserve = Command(
    "parking.reserve",
    queue=PARKING_QUEUE,
    payload=SlotOfBooking,
    title="Reserve a parking slot",
    summary="The slot is the booking's. Refused when it is not blocked for this very booking any more.",
)
authorize_payment = Command(
    "billing.authorize_payment",
    queue=BILLING_QUEUE,
    payload=Bill,
    title="Authorize a payment",
    summary="Charges the card. Refused when the bill is above the card's limit.",
)
refund = Command(
    "billing.refund",
    queue=BILLING_QUEUE,
    payload=BillOfBooking,
    title="Refund a payment",
    summary="Gives back what a booking has paid.",
)
