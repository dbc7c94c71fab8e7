"""python -m examples.trip_package.agency.prepare_database"""

from examples.trip_package.agency.worker import orchestrator
from sagas_framework import upgrade_database

if __name__ == "__main__":
    upgrade_database(orchestrator.engine)
