"""python -m examples.parking_booking.booking_service.prepare_database"""

from examples.parking_booking.booking_service.models import Base
from examples.parking_booking.booking_service.worker import orchestrator
from sagas_framework import upgrade_database

if __name__ == "__main__":
    upgrade_database(orchestrator.engine, Base.metadata)
