"""What databases have grown by and how often they committed, read before and after a run."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from benchmarks.workload import BenchmarkFailed
from tests.support.servers import ADMINISTRATOR


@dataclass(frozen=True)
class Reading:
    size_bytes: int
    commits: int | None = None
    log_bytes: int | None = None
    """Bytes ever written to the write-ahead log; of the whole server, so nobody else may be using it."""


class Storage(ABC):
    """The databases of one system."""

    @abstractmethod
    def read(self) -> Reading: ...


class SQLiteStorage(Storage):
    """The files. SQLite counts no commits."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._files = list(files)

    def read(self) -> Reading:
        for file in self._files:
            connection = sqlite3.connect(file)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what is still in the log belongs in the file
            connection.close()
        return Reading(sum(file.stat().st_size for file in self._files))


class PostgreSQLStorage(Storage):
    """Commits are exact only when the processes that made them have ended, or have been idle before they went on."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)

    def read(self) -> Reading:
        with psycopg.connect(ADMINISTRATOR, autocommit=True) as connection:
            row = connection.execute(
                "SELECT sum(pg_database_size(datname))::bigint, sum(xact_commit)::bigint, "
                "pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint "
                "FROM pg_stat_database WHERE datname = ANY(%s)",
                [self._names],
            ).fetchone()
        assert row is not None
        return Reading(*row)


def storage_of(databases: Mapping[str, str]) -> Storage:
    """By the databases' URLs; all of them are of one kind."""
    urls = [make_url(url) for url in databases.values()]
    names = [str(url.database) for url in urls]
    if urls[0].get_backend_name() == "sqlite":
        return SQLiteStorage(map(Path, names))
    return PostgreSQLStorage(names)


def require_durable_postgresql() -> None:
    """A figure of a server that may lose what it has committed is no figure of durable sagas."""
    with psycopg.connect(ADMINISTRATOR, autocommit=True) as connection:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            if row != ("on",):
                raise BenchmarkFailed(f"PostgreSQL runs with {name} = {row and row[0]}; it must be on")
