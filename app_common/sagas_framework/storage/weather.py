"""Telling bad weather from a refusal: what a database refuses now and may not refuse the next time."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, OperationalError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout

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


def watch_the_weather(engine: Engine) -> None:
    """Lets is_bad_weather see, behind an error on one of its connections, what has aborted the transaction."""
    event.listen(engine, "handle_error", _note_weather)
    for ending in ("begin", "rollback", "rollback_savepoint"):
        event.listen(engine, ending, _forget_weather)


def mark_as_lent(connection: Connection) -> None:
    """From now on, user code has it: what goes wrong on it cannot be hidden with `raise ... from None`."""
    connection.execution_options(**{_LENT: True})


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
