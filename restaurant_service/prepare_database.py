"""Make the restaurant service's database ready. Repeating it is harmless.

python -m restaurant_service.prepare_database
"""

from sqlalchemy import Engine

from restaurant_service.models import Base
from sagas_framework import upgrade_database


def prepare(engine: Engine) -> None:
    upgrade_database(engine, Base.metadata)


def main() -> None:
    from restaurant_service.worker import participant  # reads the environment, so not before it is wanted

    assert participant.engine is not None  # the worker gives it a database
    prepare(participant.engine)


if __name__ == "__main__":
    main()
