"""The schema that the migrations make is the one that the code means, however often and by however many it is made."""

from collections.abc import Iterator
from functools import partial

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect

from sagas_framework import upgrade_database
from sagas_framework.storage.database import open_database
from sagas_framework.storage.migration import VERSION_TABLE, schema_versions
from sagas_framework.storage.schema import metadata
from tests.support.threads import in_threads


def framework_tables(engine: Engine) -> set[str]:
    return {name for name in inspect(engine).get_table_names() if name.startswith("saga_")}


@pytest.fixture
def empty(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url)
    yield engine
    engine.dispose()


def test_the_migrations_make_what_the_code_means(empty: Engine) -> None:
    upgrade_database(empty)
    with empty.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []
    assert framework_tables(empty) == {*metadata.tables, VERSION_TABLE}


def test_the_indexes_are_partial_where_the_code_says_so(empty: Engine) -> None:
    """Alembic does not compare the conditions of indexes; without them a million finished sagas would be in there."""
    upgrade_database(empty)
    option = f"{empty.dialect.name}_where"
    indexes = inspect(empty).get_indexes("saga_instance")
    partial_ones = {index["name"] for index in indexes if index["dialect_options"].get(option) is not None}
    assert partial_ones >= {"ix_saga_instance_wake_at", "ix_saga_instance_unfinished"}


def test_upgrading_twice_changes_nothing(empty: Engine) -> None:
    upgrade_database(empty)
    before = framework_tables(empty)
    upgrade_database(empty)
    assert framework_tables(empty) == before
    with empty.connect() as connection:
        present, needed = schema_versions(connection)
    assert present == needed is not None


def test_several_processes_may_upgrade_an_empty_database_at_once(database_url: str) -> None:
    engines = [open_database(database_url) for _ in range(6)]
    in_threads([partial(upgrade_database, engine) for engine in engines])
    assert framework_tables(engines[0]) == {*metadata.tables, VERSION_TABLE}
    for engine in engines:
        engine.dispose()
