"""Opening a database, lending a session, and telling bad weather from a refusal."""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from pydantic_core import from_json
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext, make_url
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

# PostgreSQL's SQLSTATE classes and codes for what passes by itself, or once an operator has seen to it: connection
# trouble, no memory, disk or connection left, a failing system below; serialization failure, unknown completion,
# deadlock, lock time-out, a server that is shutting down, starting, tired of an idle session, or that only reads.
_WEATHER_CLASSES = ("08", "53", "58")
_WEATHER_CODES = ("40001", "40003", "40P01", "55P03", "57P01", "57P02", "57P03", "57P05", "25006")
_SQLITE_WEATHER = ("locked", "busy", "unable to open database file", "database or disk is full")
_ON_A_LOST_CONNECTION = "8s2b"  # SQLAlchemy's code, when somebody caught the loss itself and went on
_TRANSACTION_IS_ABORTED = "25P02"  # says nothing but that an earlier statement failed

_WEATHER = "sagas_weather"  # in a connection's info: what has aborted its transaction
_LENT = "sagas_lent"  # a connection's option, and on the errors that came out of it: user code had it


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
    event.listen(engine, "handle_error", _note_weather)
    for ending in ("begin", "rollback", "rollback_savepoint"):
        event.listen(engine, ending, _forget_weather)
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


def _note_weather(context: ExceptionContext) -> None:
    """User code may swallow a deadlock; what it does next fails with no more than "the transaction is aborted".

    So that answer is given what aborted the transaction as its cause.
    """
    error, connection = context.sqlalchemy_exception, context.connection
    if not isinstance(error, DBAPIError) or connection is None:
        return
    if connection.get_execution_options().get(_LENT):
        setattr(error, _LENT, True)
    if context.is_disconnect:
        return
    if _sqlstate(error) == _TRANSACTION_IS_ABORTED:
        context.original_exception.__cause__ = connection.info.get(_WEATHER)
    elif _passes_by_itself(error):
        connection.info[_WEATHER] = error


def _forget_weather(connection: Connection, *unused: Any) -> None:
    if not connection.invalidated:
        connection.info.pop(_WEATHER, None)


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
    connection.execution_options(**{_LENT: True})
    session = LentSession(connection, join_transaction_mode="rollback_only", expire_on_commit=False)
    try:
        with _not_to_be_ended(connection):
            yield session
            session.flush()
    finally:
        Session.close(session)


@contextmanager
def lent_savepoint(caller: Session) -> Iterator[LentSession]:
    """A session inside the caller's transaction. Should its user raise, what was written through it is undone.

    SQLAlchemy begins the savepoint with the first statement: whoever writes nothing pays for none.
    """
    connection = caller.connection().execution_options(**{_LENT: True})
    session = LentSession(connection, join_transaction_mode="create_savepoint", expire_on_commit=False)
    session._caller = caller
    try:
        with _not_to_be_ended(connection):
            yield session
        Session.commit(session)
    finally:
        Session.close(session)


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


def is_bad_weather(error: BaseException) -> bool:
    """Whether a deadlock, a lock or a lost database is behind an error: the work is to be done again as it was.

    `raise ... from None` hides what happened to other databases, as its author wants, and not what happened to the
    transaction that was lent to user code: that is lost, whatever anybody makes of it.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    hidden = False
    while current is not None and id(current) not in seen:
        if _is_weather_itself(current) and (not hidden or _is_of_the_lent_transaction(current)):
            return True
        seen.add(id(current))
        hidden = hidden or (current.__cause__ is None and current.__suppress_context__)
        current = current.__cause__ or current.__context__
    return False


def _is_weather_itself(error: BaseException) -> bool:
    if isinstance(error, PendingRollbackError):
        return error.code == _ON_A_LOST_CONNECTION
    return isinstance(error, PoolTimeout) or (isinstance(error, DBAPIError) and _passes_by_itself(error))


def _is_of_the_lent_transaction(error: BaseException) -> bool:
    return isinstance(error, PendingRollbackError) or bool(getattr(error, _LENT, False))


def _passes_by_itself(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    original = error.orig
    if isinstance(original, sqlite3.OperationalError):
        return any(words in str(original) for words in _SQLITE_WEATHER)
    state = _sqlstate(error)
    if state is None:  # psycopg knows no SQLSTATE for a connection that it could not make or has lost
        return type(original).__module__.startswith("psycopg") and isinstance(error, OperationalError)
    return state in _WEATHER_CODES or state[:2] in _WEATHER_CLASSES


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)
