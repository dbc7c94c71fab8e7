"""Ada hands in the same exam again and again. Runs beside the workers: `python -m examples.exam_attempts`."""

import time

from examples.exam_attempts.exam_service.submit_exam_saga import SubmitExam
from examples.exam_attempts.exam_service.worker import orchestrator
from sagas_framework import Operations

SHEETS = ("x = 1", "", "x = 2", "x = 3", "x = 4")


def main() -> None:
    for answers in SHEETS:
        print(f"Ada hands in {answers!r}")
        print(f"    {outcome(answers)}")


def outcome(answers: str) -> str:
    with orchestrator.sessions.begin() as session:
        handle = orchestrator.start(SubmitExam, {"user": "Ada", "exam": "algebra", "answers": answers}, session=session)
    while (saga := Operations(orchestrator).show(handle.saga_id)).ended_at is None:
        time.sleep(0.1)
    if saga.failure is not None:
        return f"refused: {saga.failure['message']}"
    return f"taken in as exam {saga.data['exam_id']}, attempt {saga.data['attempt']}"


if __name__ == "__main__":
    main()
