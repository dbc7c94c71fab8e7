"""The AsyncAPI document of the travel agency: run this module to print it."""

from examples.trip_package.agency.worker import orchestrator
from sagas_framework.asyncapi import Specification

specification = Specification(
    orchestrator,
    title="Travel agency",
    version="1.0.0",
    description="Sells a plane ticket, a hotel room and museum tickets, all or none.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
