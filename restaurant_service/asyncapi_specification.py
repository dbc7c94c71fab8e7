"""The restaurant service's AsyncAPI document: `python -m restaurant_service.asyncapi_specification` prints it."""

from restaurant_service.worker import participant
from sagas_framework.asyncapi import Specification

specification = Specification(
    participant,
    title="Restaurant service",
    version="1.0.0",
    description="Keeps the tickets of the kitchen: creates one for an order, and approves it or takes it back.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
