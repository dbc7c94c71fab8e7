"""The AsyncAPI document of the attempt service: run this module to print it."""

from examples.exam_attempts.attempt_service.worker import participant
from sagas_framework.asyncapi import Specification

specification = Specification(
    participant,
    title="Attempt service",
    version="1.0.0",
    description="Counts how often a user has sat an exam.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
