"""The AsyncAPI document of the parking service: run this module to print it."""

from examples.parking_booking.parking_service.worker import participant
from sagas_framework.asyncapi import Specification

specification = Specification(
    participant,
    title="Parking service",
    version="1.0.0",
    description="Knows which slots are free, blocked and reserved.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
