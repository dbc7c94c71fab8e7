"""The AsyncAPI document of the billing service: `python -m examples.parking_booking.billing_service.asyncapi_specification` prints it."""

from examples.parking_booking.billing_service.worker import participant
from sagas_framework.asyncapi import Specification

specification = Specification(
    participant,
    title="Billing service",
    version="1.0.0",
    description="Charges cards for bookings, and gives back.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
