"""Make the restaurant service's database ready. Repeating it is harmless.

python -m restaurant_service.prepare_database
"""

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError, ProgrammingError

from restaurant_service.models import create_tables
from sagas_framework import upgrade_database


def prepare(engine: Engine) -> None:
    upgrade_database(engine)
    try:
        create_tables(engine)
    except (IntegrityError, ProgrammingError):
        # Somebody else prepares the same database right now and was first: a second look finds their work.
        create_tables(engine)


def main() -> None:
    from restaurant_service.worker import participant  # reads the environment, so not before it is wanted

    assert participant.engine is not None  # the worker gives it a database
    prepare(participant.engine)


if __name__ == "__main__":
    main()
