"""The consumer service's AsyncAPI document: `python -m consumer_service.asyncapi_specification` prints it."""

from consumer_service.worker import participant
from sagas_framework.asyncapi import Specification

specification = Specification(
    participant,
    title="Consumer service",
    version="1.0.0",
    description="Knows who may place orders.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
