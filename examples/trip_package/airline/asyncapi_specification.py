"""The AsyncAPI document of the airline: run this module to print it."""

from examples.trip_package.airline.worker import participant
from sagas_framework.asyncapi import Specification

specification = Specification(
    participant,
    title="Airline",
    version="1.0.0",
    description="Sells seats.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
