"""What the billing service does when a booking asks. A bill that is refused leaves nothing behind."""

from sqlalchemy import update

from examples.parking_booking.billing_service.models import BillingRequest, BillingStatus
from examples.parking_booking.messages import Bill, BillOfBooking, authorize_payment, refund
from sagas_framework import HandlerContext, Refusal, handles

CARD_LIMIT = 100
"""What every card of this example takes at most, in whole units of the currency."""


class BillRefused(Refusal):
    """The card does not take so much."""


@handles(authorize_payment, database_only=True)
def authorize(payload: Bill, step: HandlerContext) -> None:
    if payload.total > CARD_LIMIT:
        raise BillRefused(f"The bill of {payload.total} is above the card's limit of {CARD_LIMIT}.")
    step.session.add(BillingRequest(reference_no=payload.reference_no, total=payload.total))


@handles(refund, database_only=True)
def give_back(payload: BillOfBooking, step: HandlerContext) -> None:
    paid = BillingRequest.reference_no == payload.reference_no
    step.session.execute(update(BillingRequest).where(paid).values(status=BillingStatus.REFUNDED.value))
