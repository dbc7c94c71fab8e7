"""The consumer service's AsyncAPI document: run this module to print it."""

from examples.order_choreography.consumers.worker import subscriber
from sagas_framework.asyncapi import Specification

specification = Specification(
    subscriber,
    title="Consumer service",
    version="1.0.0",
    description="Verifies whoever has placed an order.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
