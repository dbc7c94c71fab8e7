"""The AsyncAPI document of the airline: `python -m examples.trip_package.airline.asyncapi_specification` prints it."""

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
