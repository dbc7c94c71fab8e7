"""python -m examples.user_registration.mail_service.prepare_database"""

from examples.user_registration.mail_service.models import Base
from examples.user_registration.mail_service.worker import participant
from sagas_framework import upgrade_database

if __name__ == "__main__":
    assert participant.engine is not None  # the worker gives it a database
    upgrade_database(participant.engine, Base.metadata)
