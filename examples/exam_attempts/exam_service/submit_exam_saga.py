"""An exam is taken in if the user may still sit it; otherwise nothing of it is left."""

from typing import Any

from examples.exam_attempts.attempt_messages import (
    Attempts,
    WhoAndWhat,
    count_attempt,
    forget_attempt,
    get_user_attempts,
)
from examples.exam_attempts.exam_service.models import Exam
from sagas_framework import AsyncStep, Saga, StepContext, SyncStep, send


class NothingHandedIn(Exception):
    """An empty sheet is no attempt."""


def who_and_what(context: dict[str, Any], step: StepContext) -> WhoAndWhat:
    return WhoAndWhat(context["user"], context["exam"])


def remember_attempt(context: dict[str, Any], reply: Attempts, step: StepContext) -> None:
    context["attempt"] = reply.quantity


def create_exam(context: dict[str, Any], step: StepContext) -> None:
    if not context["answers"]:
        raise NothingHandedIn("There is nothing on the sheet.")
    exam = Exam(user=context["user"], name=context["exam"], answers=context["answers"])
    step.session.add(exam)
    step.session.flush()  # the database gives the id
    context["exam_id"] = exam.id


class SubmitExam(Saga[dict[str, Any]]):
    response_queue = "exam_service.replies"
    steps = (
        AsyncStep("get_user_attempts", get_user_attempts, action=who_and_what),
        AsyncStep(
            "count_attempt",
            count_attempt,
            action=who_and_what,
            on_success=remember_attempt,
            compensation=send(forget_attempt, who_and_what),
        ),
        SyncStep("create_exam", action=create_exam),
    )
