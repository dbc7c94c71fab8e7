"""The AsyncAPI document of the hotel: run this module to print it."""

from examples.trip_package.hotel.worker import participant
from sagas_framework.asyncapi import Specification

specification = Specification(
    participant,
    title="Hotel",
    version="1.0.0",
    description="Lets rooms.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
