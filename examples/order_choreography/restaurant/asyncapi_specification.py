"""The restaurant's AsyncAPI document: run this module to print it."""

from examples.order_choreography.restaurant.worker import subscriber
from sagas_framework.asyncapi import Specification

specification = Specification(
    subscriber,
    title="Restaurant",
    version="1.0.0",
    description="Creates a ticket for an order, and approves it or takes it back.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
