"""python -m examples.trip_package.airline.prepare_database"""

from examples.trip_package.airline.models import Base
from examples.trip_package.airline.worker import participant
from sagas_framework import upgrade_database

if __name__ == "__main__":
    assert participant.engine is not None  # the worker gives it a database
    upgrade_database(participant.engine, Base.metadata)
