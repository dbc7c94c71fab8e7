"""Accounting's AsyncAPI document: run this module to print it."""

from examples.order_choreography.accounting.worker import subscriber
from sagas_framework.asyncapi import Specification

specification = Specification(
    subscriber,
    title="Accounting",
    version="1.0.0",
    description="Authorizes the card of an order whose ticket is there, or refuses it.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
