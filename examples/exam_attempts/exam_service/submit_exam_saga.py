"""An exam is taken in if its user has an attempt left; otherwise nothing of it stays behind."""

from examples.exam_attempts.attempt_messages import (
    Attempts,
    WhoAndWhat,
    count_attempt,
    forget_attempt,
    get_user_attempts,
)
from examples.exam_attempts.exam_service.models import Exam
from sagas_framework import Refusal, SagaBuilder, SagaContext, StepContext


class EmptySheet(Refusal):
    """There is nothing to mark. The user may try again, and it costs no attempt."""


def who_and_what(context: SagaContext, step: StepContext) -> WhoAndWhat:
    return WhoAndWhat(context.user, context.exam)


def remember_attempt(context: SagaContext, reply: Attempts, step: StepContext) -> None:
    context.attempt = reply.quantity


def create_exam(context: SagaContext, step: StepContext) -> None:
    if not context.answers:
        raise EmptySheet("There is nothing on the sheet.")
    exam = Exam(user=context.user, name=context.exam, answers=context.answers)
    step.session.add(exam)
    step.session.flush()  # the database gives the id
    context.exam_id = exam.id


def only_the_exam(context: SagaContext, step: StepContext) -> SagaContext:
    return SagaContext(exam={"id": context.exam_id, "attempt": context.attempt})


SubmitExam = (
    SagaBuilder("SubmitExam", response_queue="exam_service.replies", data=SagaContext)
    .step("get_user_attempts")
    .invoke_participant(get_user_attempts, who_and_what)
    .step("count_attempt")
    .invoke_participant(count_attempt, who_and_what)
    .with_compensation(forget_attempt, who_and_what)
    .on_reply(remember_attempt)
    .step("create_exam")
    .local(create_exam)
    .commit(only_the_exam)
)
