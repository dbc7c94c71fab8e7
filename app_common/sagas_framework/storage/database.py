"""Opening a database, and lending a session."""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from pydantic_core import from_json
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session

from sagas_framework.errors import ConfigurationError, SessionIsLent
from sagas_framework.storage.weather import is_bad_weather, mark_as_lent, watch_the_weather

SQLITE_BUSY_TIMEOUT_MILLISECONDS = 10_000
POOL_SIZE = 10

# A worker has one loop. Without these limits a row that somebody's psql session holds, or a server behind a cable that
# was pulled, would stop it for ever and without a word. With them an error comes, which is bad weather: what was to be
# done is rolled back and done again. What the URL gives wins, for lock_timeout what role, database or server give too.
POSTGRESQL_CONNECT_TIMEOUT_SECONDS = 5
POSTGRESQL_SILENCE_MILLISECONDS = 10_000
POSTGRESQL_LOCK_TIMEOUT_MILLISECONDS = 2_000


def open_database(url: str) -> Engine:
    """The engine for a URL. Nothing connects yet."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite":
            arguments = _limits(parsed)
            engine = create_engine(parsed, pool_size=POOL_SIZE, connect_args=arguments, json_deserializer=from_json)
            if parsed.get_backend_name() == "postgresql":
                event.listen(engine, "connect", _prepare_postgresql)
            return _watched(engine)
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        limits = {"pool_size": POOL_SIZE} if parsed.database else {}
        engine = create_engine(parsed, json_deserializer=from_json, **limits)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise ConfigurationError(f"the database URL cannot be used: {error}") from error
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return _watched(engine)


def _watched(engine: Engine) -> Engine:
    watch_the_weather(engine)
    if engine.dialect.name != "sqlite" or engine.url.database not in (None, "", ":memory:"):
        _leave_connections_to_the_parent(engine)
    return engine


def _leave_connections_to_the_parent(engine: Engine) -> None:
    """After a fork both processes would talk on the same sockets, and each would read what the other one asked for."""
    held = weakref.ref(engine)  # nobody can take a fork handler back: it must not keep the engine alive

    def dispose() -> None:
        engine = held()
        if engine is not None:
            engine.dispose(close=False)

    os.register_at_fork(after_in_child=dispose)


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


@contextmanager
def reading_session(engine: Engine) -> Iterator[Session]:
    """A session that only reads: `with reading_session(orchestrator.engine) as session: ...`.

    On SQLite every other transaction, one of `orchestrator.sessions` too, takes the only write lock of its database
    when it begins, so that no write fails half-way; whoever only reads would queue behind every writer, and hold up
    the workers. This one takes no lock. Do not write in it.
    """
    with reading(engine) as connection, Session(connection) as session:
        yield session


class LentSession(Session):
    """The session that user code is given: it may write, but not end the transaction.

    Its connection() does not either, as long as it is lent. Whoever takes `connection().get_transaction()` or the
    driver's own connection to get round that commits his half without the saga's.
    """

    _weather: DBAPIError | None = None
    _caller: Session | None = None
    lender: Session | None = None
    """Whose transaction it is within, if that is a session's."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.last_writes: list[Callable[[Connection], None]] = []
        """What is still to be written when the loan ends, unless its user raises."""

    def write_the_last(self) -> None:
        self.flush()
        for write in self.last_writes:
            write(self.connection())

    def flush(self, objects: Sequence[Any] | None = None) -> None:
        self._raise_swallowed_weather()
        try:
            super().flush(objects)
        except DBAPIError as error:
            self._weather = error if is_bad_weather(error) else None
            raise

    def get_bind(self, *arguments: Any, **named: Any) -> Engine | Connection:
        self._raise_swallowed_weather()  # every statement comes through here
        if self._caller is not None:  # not within the savepoint that begins now: what is the caller's stays
            caller, self._caller = self._caller, None
            caller.flush()
        return super().get_bind(*arguments, **named)

    def _raise_swallowed_weather(self) -> None:
        # After a flush that failed, SQLAlchemy says only that it did, until a savepoint round it is rolled back.
        if self._weather is not None and not self.is_active:
            raise self._weather

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
    mark_as_lent(connection)
    session = LentSession(connection, join_transaction_mode="rollback_only", expire_on_commit=False)
    try:
        with _not_to_be_ended(connection):
            yield session
            session.write_the_last()
            _end_open_savepoints(session)
    finally:
        Session.close(session)


@contextmanager
def lent_savepoint(caller: Session) -> Iterator[LentSession]:
    """A session inside the caller's transaction. Should its user raise, what was written through it is undone.

    SQLAlchemy begins the savepoint with the first statement: whoever writes nothing pays for none.
    """
    connection = caller.connection()
    mark_as_lent(connection)
    session = LentSession(connection, join_transaction_mode="create_savepoint", expire_on_commit=False)
    session._caller = session.lender = caller
    try:
        with _not_to_be_ended(connection):
            yield session
            if session.last_writes:
                session.write_the_last()
        Session.commit(session)
    finally:
        Session.close(session)


def _end_open_savepoints(session: Session) -> None:
    """What user code has begun with begin_nested() and left open would be rolled back when the session is closed, and
    with it whatever has been written since, by whomever."""
    while (savepoint := session.get_nested_transaction()) is not None:
        savepoint.commit()


@contextmanager
def _not_to_be_ended(connection: Connection) -> Iterator[None]:
    """What user code gets from session.connection() is the owner's own connection; the owner ends its transaction
    with the transaction object, so that these methods are free to refuse meanwhile."""
    methods = vars(connection)
    names = [name for name in ("commit", "rollback", "close") if name not in methods]  # none: lent within a loan
    methods.update({name: partial(_refuse, f"connection().{name}") for name in names})
    try:
        yield
    finally:
        for name in names:
            del methods[name]


def _refuse(operation: str) -> NoReturn:
    raise SessionIsLent(operation)


def check_deferred_constraints(session: Session) -> None:
    """Raises here and now what the database would refuse only at the commit, where nobody knows whose fault it is."""
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")
