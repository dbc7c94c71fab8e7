"""Make the consumer service's database ready. Repeating it is harmless.

python -m consumer_service.prepare_database
"""

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.orm import Session

from consumer_service.models import Consumer, ConsumerStatus, create_tables
from sagas_framework import upgrade_database

KNOWN_CONSUMERS = range(1, 101)
FIRST_ACTIVE_CONSUMER = 50
"""Consumers with a lower id are suspended, so that everybody can watch an order being refused."""


def prepare(engine: Engine) -> None:
    upgrade_database(engine)
    try:
        _create_tables_and_rows(engine)
    except (IntegrityError, ProgrammingError):
        # Somebody else prepares the same database right now and was first: a second look finds their work.
        _create_tables_and_rows(engine)


def _create_tables_and_rows(engine: Engine) -> None:
    create_tables(engine)
    with Session(engine) as session, session.begin():
        present = set(session.scalars(select(Consumer.id)))
        session.add_all(_consumer(id_) for id_ in KNOWN_CONSUMERS if id_ not in present)


def _consumer(consumer_id: int) -> Consumer:
    active = consumer_id >= FIRST_ACTIVE_CONSUMER
    return Consumer(
        id=consumer_id,
        name=f"Consumer {consumer_id}",
        status=(ConsumerStatus.ACTIVE if active else ConsumerStatus.SUSPENDED).value,
    )


def main() -> None:
    from consumer_service.worker import participant  # reads the environment, so not before it is wanted

    assert participant.engine is not None  # the worker gives it a database
    prepare(participant.engine)


if __name__ == "__main__":
    main()
