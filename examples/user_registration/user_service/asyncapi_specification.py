"""The AsyncAPI document of the user service: run this module to print it."""

from examples.user_registration.user_service.worker import participant
from sagas_framework.asyncapi import Specification

specification = Specification(
    participant,
    title="User service",
    version="1.0.0",
    description="Knows the users, and says what happens to them.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
