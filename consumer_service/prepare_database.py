"""Make the consumer service's database ready. Repeating it is harmless.

python -m consumer_service.prepare_database
"""

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from consumer_service.models import Base, Consumer, ConsumerStatus
from sagas_framework import upgrade_database

KNOWN_CONSUMERS = range(1, 101)
FIRST_ACTIVE_CONSUMER = 50
"""Consumers with a lower id are suspended, so that everybody can watch an order being refused."""


def prepare(engine: Engine) -> None:
    upgrade_database(engine, Base.metadata)
    with Session(engine) as session, session.begin():
        # What is there stays as it is: somebody else may prepare the same database right now.
        upsert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        session.execute(upsert(Consumer).on_conflict_do_nothing(), [_consumer(id_) for id_ in KNOWN_CONSUMERS])


def _consumer(consumer_id: int) -> dict[str, Any]:
    active = consumer_id >= FIRST_ACTIVE_CONSUMER
    status = ConsumerStatus.ACTIVE if active else ConsumerStatus.SUSPENDED
    return {"id": consumer_id, "name": f"Consumer {consumer_id}", "status": status.value}


def main() -> None:
    from consumer_service.worker import participant  # reads the environment, so not before it is wanted

    assert participant.engine is not None  # the worker gives it a database
    prepare(participant.engine)


if __name__ == "__main__":
    main()
