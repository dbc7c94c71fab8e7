"""Creating and migrating the framework's tables, with Alembic, in whichever database a service has."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, text

VERSION_TABLE = "saga_schema_version"
_LOCK = 0x5A6A5  # any number: whoever upgrades the same database at the same time waits


def upgrade_database(engine: Engine, tables: MetaData | None = None) -> None:
    """Creates or migrates the framework's tables; does nothing when they are up to date. Safe to run twice at once.

    `tables`: the application's own, created under the same lock where they are missing.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # Whoever else upgrades may take minutes; the limit is for a worker's loop, and none runs here.
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        configuration = _configuration()
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "head")
        if tables is not None:
            tables.create_all(connection)


def schema_versions(connection: Connection) -> tuple[str | None, str | None]:
    """(what the database has, what this release needs)."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision(), ScriptDirectory.from_config(_configuration()).get_current_head()


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    configuration.set_main_option("path_separator", "os")
    return configuration
