"""The order service's AsyncAPI document: run this module to print it."""

from examples.order_choreography.orders.worker import subscriber
from sagas_framework.asyncapi import Specification

specification = Specification(
    subscriber,
    title="Order service",
    version="1.0.0",
    description="Takes orders, and approves or rejects each when the others have said what they have done.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
