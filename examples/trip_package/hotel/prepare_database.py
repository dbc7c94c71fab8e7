"""python -m examples.trip_package.hotel.prepare_database"""

from sqlalchemy.orm import Session

from examples.trip_package.hotel.models import Base, Room
from examples.trip_package.hotel.worker import participant
from sagas_framework import upgrade_database

if __name__ == "__main__":
    assert participant.engine is not None  # the worker gives it a database
    upgrade_database(participant.engine, Base.metadata)
    with Session(participant.engine) as session, session.begin():
        if session.get(Room, 1) is None:
            session.add(Room(number=1))
