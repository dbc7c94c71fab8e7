"""Opening a database, lending a session, and telling bad weather from a refusal."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from sagas_framework.errors import ConfigurationError, SessionIsLent

SQLITE_BUSY_TIMEOUT_MILLISECONDS = 10_000
POOL_SIZE = 10

# A worker has one loop. Without these limits a row that somebody's psql session holds, or a server behind a cable that
# was pulled, would stop it for ever and without a word. With them an error comes, which is bad weather: what was to be
# done is rolled back and done again. What the URL gives wins, for lock_timeout what role, database or server give too.
POSTGRESQL_CONNECT_TIMEOUT_SECONDS = 5
POSTGRESQL_SILENCE_MILLISECONDS = 10_000
POSTGRESQL_LOCK_TIMEOUT_MILLISECONDS = 2_000

# PostgreSQL's SQLSTATE classes and codes for what passes by itself: connection trouble, serialization failure,
# deadlock, lock time-out, a server that is shutting down or starting, too many connections.
_WEATHER_CLASSES = ("08",)
_ON_A_LOST_CONNECTION = "8s2b"  # SQLAlchemy's code, when somebody caught the loss itself and went on
_WEATHER_CODES = ("40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300", "25006")


def open_database(url: str) -> Engine:
    """The engine for a URL. Nothing connects yet."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite":
            arguments = _limits(parsed)
            engine = create_engine(parsed, pool_pre_ping=False, pool_size=POOL_SIZE, connect_args=arguments)
            if parsed.get_backend_name() == "postgresql":
                event.listen(engine, "connect", _prepare_postgresql)
            return engine
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, pool_size=POOL_SIZE) if parsed.database else create_engine(parsed)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise ConfigurationError(f"the database URL cannot be used: {error}") from error
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _limits(url: URL) -> dict[str, int]:
    """How long libpq waits for a server that says nothing."""
    if not url.get_driver_name().startswith("psycopg"):
        return {}
    seconds = POSTGRESQL_SILENCE_MILLISECONDS // 1000
    limits = {
        "connect_timeout": POSTGRESQL_CONNECT_TIMEOUT_SECONDS,
        "tcp_user_timeout": POSTGRESQL_SILENCE_MILLISECONDS,  # for what was sent and is not acknowledged
        "keepalives_idle": seconds,  # and for an answer that never comes
        "keepalives_interval": max(1, seconds // 3),
        "keepalives_count": 3,
    }
    return {name: limit for name, limit in limits.items() if name not in url.query}


def _prepare_postgresql(connection: Any, record: Any) -> None:
    # Not as a start-up option: PgBouncer refuses those, and they would outdo what was set for the role.
    cursor = connection.cursor()
    cursor.execute(
        f"SELECT set_config('lock_timeout', '{POSTGRESQL_LOCK_TIMEOUT_MILLISECONDS}', false) "
        "FROM pg_settings WHERE name = 'lock_timeout' AND source = 'default'"
    )
    cursor.close()
    connection.commit()


def _prepare_sqlite(connection: sqlite3.Connection, record: Any) -> None:
    connection.isolation_level = None  # transactions begin where _begin_immediate says, savepoints included
    connection.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_TIMEOUT_MILLISECONDS}")
    _switch_to_wal(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Only the first connection to a new file changes anything; meanwhile the others are refused without waiting."""
    deadline = time.monotonic() + SQLITE_BUSY_TIMEOUT_MILLISECONDS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_immediate(connection: Connection) -> None:
    # A transaction that reads first and writes later would otherwise fail on SQLite as soon as somebody else has
    # written in between, without waiting. Readers say so and do not queue for the write lock.
    read_only = connection.get_execution_options().get("sagas_read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads."""
    with engine.connect().execution_options(sagas_read_only=True) as connection, connection.begin():
        yield connection


class LentSession(Session):
    """The session that user code is given: it may write, but not end the transaction."""

    def commit(self) -> NoReturn:
        raise SessionIsLent("commit")

    def rollback(self) -> NoReturn:
        raise SessionIsLent("rollback")

    def close(self) -> NoReturn:
        raise SessionIsLent("close")

    def reset(self) -> NoReturn:
        raise SessionIsLent("reset")

    def invalidate(self) -> NoReturn:
        raise SessionIsLent("invalidate")


@contextmanager
def lent_session(connection: Connection) -> Iterator[LentSession]:
    """A session inside the connection's transaction; flushed at the end, ended by the transaction's owner."""
    session = LentSession(connection, join_transaction_mode="rollback_only", expire_on_commit=False)
    try:
        yield session
        session.flush()
    finally:
        Session.close(session)


def check_deferred_constraints(session: Session) -> None:
    """Raises here and now what the database would refuse only at the commit, where nobody knows whose fault it is."""
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")


def is_bad_weather(error: BaseException) -> bool:
    """Whether a deadlock, a lock or a lost database is behind an error: the work is to be done again as it was."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        if isinstance(current, PoolTimeout) or (isinstance(current, DBAPIError) and _passes_by_itself(current)):
            return True
        if isinstance(current, PendingRollbackError) and current.code == _ON_A_LOST_CONNECTION:
            return True
        seen.add(id(current))
        current = current.__cause__ or current.__context__
    return False


def _passes_by_itself(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    original = error.orig
    if isinstance(original, sqlite3.OperationalError):
        text = str(original)
        return "locked" in text or "busy" in text or "unable to open database file" in text
    state = getattr(original, "sqlstate", None)
    if state is None:  # psycopg knows no SQLSTATE for a connection that it could not make or has lost
        return type(original).__module__.startswith("psycopg") and isinstance(error, OperationalError)
    return state in _WEATHER_CODES or state[:2] in _WEATHER_CLASSES
