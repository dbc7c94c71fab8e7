"""The AsyncAPI document of the booking service: run this module to print it."""

from examples.parking_booking.booking_service.worker import orchestrator
from sagas_framework.asyncapi import Specification

specification = Specification(
    orchestrator,
    title="Booking service",
    version="1.0.0",
    description="Books a parking slot and has it paid.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
