"""The order service's AsyncAPI document: `python -m order_service.asyncapi_specification` prints it."""

from order_service.worker import orchestrator
from sagas_framework.asyncapi import Specification

specification = Specification(
    orchestrator,
    title="Order service",
    version="1.0.0",
    description="Takes orders, and runs the saga that has each approved or rejected.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
