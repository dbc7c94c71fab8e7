"""Ada hands in the same exam again and again. Runs beside the workers: `python -m examples.exam_attempts`."""

from examples.exam_attempts.exam_service.submit_exam_saga import SubmitExam
from examples.exam_attempts.exam_service.worker import orchestrator
from sagas_framework import SagaContext, SagaFailed


def submit_exam(user: str, exam: str, answers: str) -> str:
    try:
        execution = orchestrator.run(SubmitExam, SagaContext(user=user, exam=exam, answers=answers))
    except SagaFailed as failed:
        return f"refused at {failed.execution.failed_step}: {failed.execution.failure.message}"
    return f"{execution.status}: {execution.data.exam}"


def main() -> None:
    for answers in ("x = 1", "", "x = 2", "x = 3", "x = 4"):
        print(f"Ada hands in {answers!r}")
        print(f"    {submit_exam('Ada', 'algebra', answers)}")


if __name__ == "__main__":
    main()
