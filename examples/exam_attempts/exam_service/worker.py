"""Wiring of the exam service's worker."""

from examples.exam_attempts.exam_service.submit_exam_saga import SubmitExam
from sagas_framework import create_orchestrator
from sagas_framework.environment import read_broker, read_database_url

orchestrator = create_orchestrator(
    "exam_service",
    broker=read_broker(),
    database_url=read_database_url("EXAM_SERVICE"),
    sagas=[SubmitExam],
)
app = orchestrator.app
