"""python -m examples.exam_attempts.exam_service.prepare_database"""

from examples.exam_attempts.exam_service.models import Base
from examples.exam_attempts.exam_service.worker import orchestrator
from sagas_framework import upgrade_database

if __name__ == "__main__":
    upgrade_database(orchestrator.engine, Base.metadata)
