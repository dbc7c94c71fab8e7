"""The AsyncAPI document of the billing service: run this module to print it."""

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
