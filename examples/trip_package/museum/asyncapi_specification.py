"""The AsyncAPI document of the museum: run this module to print it."""

from examples.trip_package.museum.worker import participant
from sagas_framework.asyncapi import Specification

specification = Specification(
    participant,
    title="Museum",
    version="1.0.0",
    description="Sells tickets to tourists.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
