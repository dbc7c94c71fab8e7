"""Many rows with one statement: the whole batch travels as one parameter, and the statement is always the same text.

On PostgreSQL that parameter is one JSON text, which the server reads as a table, and all the writes of a transaction
travel together: one round trip, one prepared statement, however many rows. SQLite runs inside this process, where a
round trip costs nothing: it gets an executemany for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Row, Table, any_, bindparam, delete, insert, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.sql.selectable import TextualSelect

from sagas_framework.storage.schema import Moment
from sagas_framework.vocabulary import json_text

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy has no type for it


class _Write(NamedTuple):
    """`key`: the columns by which rows are found and updated, or deleted if they have no others; none: they are
    inserted."""

    table: Table
    columns: tuple[str, ...]
    key: tuple[str, ...] = ()
    adding: str = ""


class Writes:
    """Gathers writes that do not depend on each other (no row is written twice) and sends them as one statement."""

    def __init__(self) -> None:
        self._writes: list[tuple[_Write, Sequence[dict[str, Any]]]] = []

    def insert(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        """All rows name the same columns."""
        if rows:
            self._writes.append((_Write(table, tuple(rows[0])), rows))

    def update(self, table: Table, rows: Sequence[dict[str, Any]], *, adding: str = "") -> None:
        """Rows are found by their primary key; what else they name is set, and the column `adding` is added to."""
        if rows:
            key = tuple(column.name for column in table.primary_key)
            self._writes.append((_Write(table, tuple(rows[0]), key, adding), rows))

    def delete(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        """Rows name nothing but their primary key."""
        if rows:
            self._writes.append((_Write(table, tuple(rows[0]), tuple(rows[0])), rows))

    def send(self, connection: Connection) -> None:
        if connection.dialect.name != "postgresql":
            for write, rows in self._writes:
                connection.execute(_one_by_one(write), [_as_parameters(write, row) for row in rows])
        elif self._writes:
            statement = _all_at_once(tuple(write for write, _ in self._writes))
            texts = {f"rows_{place}": json_text.dumps(rows) for place, (_, rows) in enumerate(self._writes)}
            connection.execute(statement, texts)


def is_any(dialect: str, column: Column[Any]) -> ColumnElement[bool]:
    """Whether the column is one of the parameter `ids`."""
    if dialect == "postgresql":  # an array: the same text, however many there are
        return column == any_(bindparam("ids", type_=postgresql.ARRAY(column.type)))
    return column.in_(bindparam("ids", expanding=True))


def take(connection: Connection, columns: Sequence[Column[Any]], rows: Sequence[dict[str, Any]]) -> Sequence[Row[Any]]:
    """Inserts rows, or locks those that are there with the same primary key; gives these columns of them.

    Give the rows in the order of their keys: so two transactions never wait for each other in a ring.
    """
    if not rows:
        return []
    return _take(connection, columns, rows, counting=False)


def count_on(
    connection: Connection, columns: Sequence[Column[Any]], rows: Sequence[dict[str, Any]]
) -> Sequence[Row[Any]]:
    """Inserts rows, or adds the last of these columns to what is there with the same primary key; gives the columns as
    they are then. In the order of their keys, like `take`."""
    return _take(connection, columns, rows, counting=True) if rows else []


def _take(
    connection: Connection, columns: Sequence[Column[Any]], rows: Sequence[dict[str, Any]], *, counting: bool
) -> Sequence[Row[Any]]:
    table, last = columns[0].table, columns[-1]
    assert isinstance(table, Table)
    if connection.dialect.name == "postgresql":
        taken = _take_from_json(tuple(columns), tuple(rows[0]), counting)
        return connection.execute(taken, {"rows": json_text.dumps(rows)}).all()
    inserted = sqlite_insert(table)
    if counting:
        added = {last.name: last + inserted.excluded[last.name]}
        inserted = inserted.on_conflict_do_update(index_elements=list(table.primary_key), set_=added)
    else:
        inserted = inserted.on_conflict_do_nothing()
    connection.execute(inserted, rows)
    wanted = [[row[column.name] for column in table.primary_key] for row in rows]
    return connection.execute(_find_by_json(tuple(columns)), {"keys": json_text.dumps(wanted)}).all()


@cache
def _take_from_json(columns: tuple[Column[Any], ...], given: tuple[str, ...], counting: bool) -> TextualSelect:
    table = columns[0].table
    assert isinstance(table, Table)
    key = [column.name for column in table.primary_key]
    found = columns[-1].name
    more = f" + excluded.{found}" if counting else ""  # else it is set to what it is, which takes the lock
    return text(
        f"INSERT INTO {table.name} ({', '.join(given)}) SELECT {values_of(table, given)} FROM {rows_of(table, given)} "
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {found} = {table.name}.{found}{more} "
        f"RETURNING {', '.join(f'{table.name}.{column.name}' for column in columns)}"
    ).columns(*columns)


@cache
def _find_by_json(columns: tuple[Column[Any], ...]) -> TextualSelect:
    """SQLite looks each key up; for `(a, b, c) IN (VALUES ...)` it would read the whole table."""
    table = columns[0].table
    assert isinstance(table, Table)
    found = " AND ".join(
        f"t.{column.name} = json_extract(k.value, '$[{place}]')" for place, column in enumerate(table.primary_key)
    )
    named = ", ".join(f"t.{column.name}" for column in columns)
    return text(f"SELECT {named} FROM json_each(:keys) AS k CROSS JOIN {table.name} AS t ON {found}").columns(*columns)


@cache
def _all_at_once(writes: tuple[_Write, ...]) -> TextClause:
    statements = [_from_json(write, f"rows_{place}") for place, write in enumerate(writes)]
    *others, last = statements
    together = ", ".join(f"w{place} AS ({statement})" for place, statement in enumerate(others))
    return text(f"WITH {together} {last}" if others else last)


def _from_json(write: _Write, parameter: str) -> str:
    table, columns, key, adding = write
    source = rows_of(table, columns, parameter)
    if not key:
        return f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {values_of(table, columns)} FROM {source}"
    found = " AND ".join(f"{table.name}.{name} = r.{name}" for name in key)
    if key == columns:
        return f"DELETE FROM {table.name} USING {source} WHERE {found}"
    values = [f"{name} = {_value(table.c[name])}" for name in columns if name not in key and name != adding]
    values += [f"{adding} = {table.name}.{adding} + r.{adding}"] if adding else []
    return f"UPDATE {table.name} SET {', '.join(values)} FROM {source} WHERE {found}"


@cache
def _one_by_one(write: _Write) -> Any:
    table, columns, key, adding = write
    if not key:
        return insert(table).inline()
    given = {name: bindparam(f"row_{name}", type_=table.c[name].type) for name in columns}
    found = [table.c[name] == given[name] for name in key]
    if key == columns:
        return delete(table).where(*found)
    values = {name: table.c[name] + given[name] if name == adding else given[name] for name in columns}
    return update(table).where(*found).values({name: value for name, value in values.items() if name not in key})


def _as_parameters(write: _Write, row: dict[str, Any]) -> dict[str, Any]:
    return {f"row_{name}": value for name, value in row.items()} if write.key else row


def rows_of(table: Table, columns: Iterable[str], parameter: str = "rows") -> str:
    """The JSON text of a parameter, as a table `r`."""
    typed = ", ".join(f"{name} {_travels_as(table.c[name])}" for name in columns)
    return f"json_to_recordset(CAST(:{parameter} AS json)) AS r({typed})"


def values_of(table: Table, columns: Iterable[str]) -> str:
    return ", ".join(_value(table.c[name]) for name in columns)


def _travels_as(column: Column[Any]) -> str:
    return "double precision" if isinstance(column.type, Moment) else str(column.type.compile(_DIALECT))


def _value(column: Column[Any]) -> str:
    return f"to_timestamp(r.{column.name})" if isinstance(column.type, Moment) else f"r.{column.name}"
