"""What PostgreSQL and SQLite spell alike and SQLAlchemy has twice."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert


def upsert(connection: Connection) -> Any:
    """`insert`, with what is to happen on a conflict."""
    return postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
