"""Reading environment variables: each malformed value stops the process with one line that names the variable."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import quote

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from sagas_framework.errors import ConfigurationError
from sagas_framework.transport.celery_app import DEFAULT_VISIBILITY_TIMEOUT_SECONDS, Broker

Value = TypeVar("Value")


def local_directory() -> Path:
    """Where the databases and the broker's socket of the local stack lie: `.local` in the current folder."""
    return Path.cwd() / ".local"


def read_broker() -> Broker:
    """CELERY_BROKER (default: the local stack's), CELERY_QUORUM_QUEUES and CELERY_VISIBILITY_TIMEOUT_SECONDS."""
    default_url = f"redis+socket://{quote(str(local_directory() / 'redis.sock'))}"
    quorum = read_number("CELERY_QUORUM_QUEUES", 0, lowest=0, highest=1)
    visibility = read_number("CELERY_VISIBILITY_TIMEOUT_SECONDS", DEFAULT_VISIBILITY_TIMEOUT_SECONDS, lowest=1)
    try:
        return Broker(os.environ.get("CELERY_BROKER") or default_url, bool(quorum), visibility)
    except ConfigurationError as error:
        stop("CELERY_BROKER", str(error))


def read_database_url(service: str) -> str:
    """`<SERVICE>_DATABASE_URL`, an SQLAlchemy URL; by default an SQLite file of the local stack."""
    name = f"{service.upper()}_DATABASE_URL"
    value = os.environ.get(name) or f"sqlite:///{quote(str(local_directory() / service.lower()))}.sqlite3"
    try:
        backend = make_url(value).get_backend_name()
    except ArgumentError:
        stop(name, "it is not a database URL; write for example postgresql+psycopg://user@localhost/orders")
    if backend not in ("sqlite", "postgresql"):
        stop(name, f"the database {backend!r} is not supported; use sqlite or postgresql")
    return value


def read_port(name: str, default: int) -> int:
    return int(read_number(name, default, lowest=1, highest=65_535))


def read_number(name: str, default: float, *, lowest: float = 0, highest: float = 1e9) -> float:
    value = _parsed(name, default, float)
    if not lowest <= value <= highest:
        stop(name, f"it is {value:g}; it must lie between {lowest:g} and {highest:g}")
    return value


def _parsed(name: str, default: Value, parse: Callable[[str], Value]) -> Value:
    text = os.environ.get(name)
    if not text:
        return default
    try:
        return parse(text)
    except ValueError:
        stop(name, f"it is {text!r}, which is not a number")


def stop(name: str, problem: str) -> NoReturn:
    """Ends the process at start-up with one line; never with a traceback, never with the value of a secret."""
    sys.exit(f"{name}: {problem}")
