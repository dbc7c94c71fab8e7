"""The AsyncAPI document of the mail service: run this module to print it."""

from examples.user_registration.mail_service.worker import participant
from sagas_framework.asyncapi import Specification

specification = Specification(
    participant,
    title="Mail service",
    version="1.0.0",
    description="Sends mails, and says when one has come back.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
