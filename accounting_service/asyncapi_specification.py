"""The accounting service's AsyncAPI document: `python -m accounting_service.asyncapi_specification` prints it."""

from accounting_service.worker import participant
from sagas_framework.asyncapi import Specification

specification = Specification(
    participant,
    title="Accounting service",
    version="1.0.0",
    description="Holds the price of an order on a card, and gives it back.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
