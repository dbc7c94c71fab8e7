"""Databases for tests: SQLite files of their own, and one PostgreSQL database a run, emptied before each test."""

import contextlib
from collections.abc import Iterable, Iterator

from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.pool import NullPool

from sagas_framework import upgrade_database
from sagas_framework.storage.database import open_database, reading
from sagas_framework.storage.schema import kept_messages

DISCONNECT_OTHERS = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
    "pg_backend_pid()"
)


def empty_postgresql(url: str) -> None:
    """Everything in the database goes; whoever an earlier test left connected, too."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(DISCONNECT_OTHERS)
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))


@contextlib.contextmanager
def opened(url: str) -> Iterator[Engine]:
    """An engine as the framework makes it, with the framework's tables."""
    engine = open_database(url)
    try:
        upgrade_database(engine)
        yield engine
    finally:
        engine.dispose()


def kept_in(engines: Iterable[Engine]) -> int:
    """How many messages could not be handled, in all of these."""
    count = 0
    for engine in engines:
        with reading(engine) as connection:
            count += connection.scalars(select(func.count()).select_from(kept_messages)).one()
    return count
