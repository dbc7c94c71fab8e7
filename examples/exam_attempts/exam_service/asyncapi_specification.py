"""The AsyncAPI document of the exam service: run this module to print it."""

from examples.exam_attempts.exam_service.worker import orchestrator
from sagas_framework.asyncapi import Specification

specification = Specification(
    orchestrator,
    title="Exam service",
    version="1.0.0",
    description="Takes the submissions of exams.",
)

if __name__ == "__main__":
    print(specification.yaml(), end="")
