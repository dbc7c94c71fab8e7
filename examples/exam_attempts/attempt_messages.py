"""The published language of the attempt service."""

from dataclasses import dataclass

from sagas_framework import Command

COMMANDS_QUEUE = "attempt_service.commands"


@dataclass(frozen=True)
class WhoAndWhat:
    user: str
    exam: str


@dataclass(frozen=True)
class Attempts:
    quantity: int


get_user_attempts = Command(
    "attempt_service.get_user_attempts",
    queue=COMMANDS_QUEUE,
    payload=WhoAndWhat,
    response=Attempts,
    title="Get a user's attempts",
    summary="How often the user has sat the exam. Refused when no attempt is left.",
)
count_attempt = Command(
    "attempt_service.count_attempt",
    queue=COMMANDS_QUEUE,
    payload=WhoAndWhat,
    response=Attempts,
    title="Count an attempt",
    summary="The user sits the exam once more. Refused when no attempt is left.",
)
forget_attempt = Command(
    "attempt_service.forget_attempt",
    queue=COMMANDS_QUEUE,
    payload=WhoAndWhat,
    title="Forget an attempt",
    summary="Takes back an attempt that was counted.",
)
