"""The AsyncAPI document of the registration: run this module to print it."""

from examples.user_registration.registration.worker import subscriber
from sagas_framework.asyncapi import Specification

specification = Specification(
    subscriber,
    title="Registration",
    version="1.0.0",
    description="What follows from what happens to users.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
