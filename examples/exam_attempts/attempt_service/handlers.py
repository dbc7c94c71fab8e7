"""What the attempt service does when a saga asks."""

from examples.exam_attempts.attempt_messages import (
    Attempts,
    WhoAndWhat,
    count_attempt,
    forget_attempt,
    get_user_attempts,
)
from examples.exam_attempts.attempt_service.models import Attempt
from sagas_framework import HandlerContext, Refusal, handles

MAX_ATTEMPTS = 3


class TooManyAttempts(Refusal):
    """The user has sat this exam as often as anybody may."""


@handles(get_user_attempts, database_only=True)
def get(payload: WhoAndWhat, step: HandlerContext) -> Attempts:
    attempt = step.session.get(Attempt, (payload.user, payload.exam))
    if attempt is None:
        return Attempts(0)
    refuse_one_too_many(attempt)
    return Attempts(attempt.quantity)


@handles(count_attempt, database_only=True)
def count(payload: WhoAndWhat, step: HandlerContext) -> Attempts:
    attempt = step.session.get(Attempt, (payload.user, payload.exam), with_for_update=True)
    if attempt is None:
        attempt = Attempt(user=payload.user, exam=payload.exam, quantity=0)
        step.session.add(attempt)
    refuse_one_too_many(attempt)  # two exams may have been handed in at the same time
    attempt.quantity += 1
    return Attempts(attempt.quantity)


@handles(forget_attempt, database_only=True)
def forget(payload: WhoAndWhat, step: HandlerContext) -> None:
    attempt = step.session.get_one(Attempt, (payload.user, payload.exam), with_for_update=True)
    attempt.quantity -= 1


def refuse_one_too_many(attempt: Attempt) -> None:
    if attempt.quantity >= MAX_ATTEMPTS:
        raise TooManyAttempts("The maximum number of attempts has been exceeded.")
