"""Many rows with one statement: the whole batch travels as one parameter, and the statement is always the same text.

On PostgreSQL that parameter is one JSON text, which the server reads as a table: one round trip, one prepared
statement, however many rows. SQLite runs inside this process, where a round trip costs nothing: it gets an executemany.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, any_, bindparam, insert, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import TextClause

from sagas_framework.storage.schema import Moment
from sagas_framework.vocabulary import json_text

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy has no type for it


def insert_many(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """All rows name the same columns."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(_insert_from_json(table, tuple(rows[0])), {"rows": json_text.dumps(rows)})
    else:
        connection.execute(insert(table).inline(), rows)


def update_many(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], *, adding: str = "") -> None:
    """Rows are found by their primary key; what else they name is set, the column `adding` is added to."""
    if not rows:
        return
    columns = tuple(rows[0])
    if connection.dialect.name == "postgresql":
        connection.execute(_update_from_json(table, columns, adding), {"rows": json_text.dumps(rows)})
    else:
        connection.execute(
            _update_one(table, columns, adding), [{f"row_{name}": value for name, value in row.items()} for row in rows]
        )


def is_any(connection: Connection, column: Column[Any]) -> ColumnElement[bool]:
    """Whether the column is one of the parameter `ids`."""
    if connection.dialect.name == "postgresql":  # an array: the same text, however many there are
        return column == any_(bindparam("ids", type_=postgresql.ARRAY(column.type)))
    return column.in_(bindparam("ids", expanding=True))


@cache
def _insert_from_json(table: Table, columns: tuple[str, ...]) -> TextClause:
    return text(
        f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {values_of(table, columns)} "
        f"FROM {rows_of(table, columns)}"
    )


@cache
def _update_from_json(table: Table, columns: tuple[str, ...], adding: str) -> TextClause:
    key, rest = _key_and_rest(table, columns)
    values = [f"{name} = {_value(table.c[name])}" for name in rest if name != adding]
    values += [f"{adding} = {table.name}.{adding} + r.{adding}"] if adding else []
    found = " AND ".join(f"{table.name}.{name} = r.{name}" for name in key)
    return text(f"UPDATE {table.name} SET {', '.join(values)} FROM {rows_of(table, columns)} WHERE {found}")


@cache
def _update_one(table: Table, columns: tuple[str, ...], adding: str) -> Any:
    key, rest = _key_and_rest(table, columns)
    given = {name: bindparam(f"row_{name}", type_=table.c[name].type) for name in columns}
    values = {name: table.c[name] + given[name] if name == adding else given[name] for name in rest}
    return update(table).where(*(table.c[name] == given[name] for name in key)).values(values)


def _key_and_rest(table: Table, columns: Iterable[str]) -> tuple[list[str], list[str]]:
    key = [column.name for column in table.primary_key]
    return key, [name for name in columns if name not in key]


def rows_of(table: Table, columns: Iterable[str]) -> str:
    """The JSON text of the parameter `rows`, as a table `r`."""
    typed = ", ".join(f"{name} {_travels_as(table.c[name])}" for name in columns)
    return f"json_to_recordset(CAST(:rows AS json)) AS r({typed})"


def values_of(table: Table, columns: Iterable[str]) -> str:
    return ", ".join(_value(table.c[name]) for name in columns)


def _travels_as(column: Column[Any]) -> str:
    return "double precision" if isinstance(column.type, Moment) else str(column.type.compile(_DIALECT))


def _value(column: Column[Any]) -> str:
    return f"to_timestamp(r.{column.name})" if isinstance(column.type, Moment) else f"r.{column.name}"
