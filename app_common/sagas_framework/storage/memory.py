"""A participant's memory: one row per (orchestrator, saga, step), taken first by action and compensation alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, text, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.sql.selectable import TextualSelect

from sagas_framework.storage import many
from sagas_framework.storage.schema import participant_memory as table
from sagas_framework.vocabulary import json_text
from sagas_framework.vocabulary.command import FailureKind
from sagas_framework.vocabulary.identity import Direction


class MemoryKey(NamedTuple):
    orchestrator: str
    saga_id: str
    step: str


@dataclass(frozen=True)
class Memory:
    """What a participant knows of one step of one saga."""

    attempt: int = 0
    outcome: str | None = None
    reply: Any = None
    failure: Any = None
    undo_attempt: int = 0
    undo_outcome: str | None = None
    undo_reply: Any = None
    undo_failure: Any = None
    parked: str | None = None


_KEY = MemoryKey._fields
_FIELDS = tuple(field.name for field in fields(Memory))
_OF_OLD = {"failure": "transient", "undo_failure": "undo_transient"}
_TAKEN = tuple(table.c[name] for name in (*_KEY, *_FIELDS, *_OF_OLD.values()))


def take(connection: Connection, keys: Iterable[MemoryKey], now: float) -> dict[MemoryKey, Memory]:
    """Inserts or locks the rows; whoever comes second waits here for the first one's commit.

    In the order of their keys, so that two batches never wait for each other in a ring.
    """
    rows = [{**key._asdict(), "created_at": now, "updated_at": now} for key in sorted(set(keys))]
    if connection.dialect.name == "postgresql":
        taken = connection.execute(_take_from_json(), {"rows": json_text.dumps(rows)}).all()
    else:
        connection.execute(insert(table).on_conflict_do_nothing(), rows)
        wanted = json_text.dumps([[row[name] for name in _KEY] for row in rows])
        taken = connection.execute(_find_by_json(), {"keys": wanted}).all()
    return {MemoryKey(*row[: len(_KEY)]): _memory(row) for row in taken}


def lock(connection: Connection, key: MemoryKey, now: float) -> Memory | None:
    """Locks the row, if there is one."""
    taken = update(table).where(*_is(key)).values(updated_at=now).returning(*_TAKEN)
    row = connection.execute(taken).one_or_none()
    return None if row is None else _memory(row)


def _memory(row: Row[Any]) -> Memory:
    """A failure that was remembered before failures had kinds says in a column of its own that it was transient."""
    known = row._mapping
    values = {name: known[name] for name in _FIELDS}
    for failure, transient in _OF_OLD.items():
        if known[transient] and values[failure] is not None:
            values[failure] = {"kind": FailureKind.TRANSIENT.value, **values[failure]}
    return Memory(**values)


@cache
def _take_from_json() -> TextualSelect:
    columns = (*_KEY, "created_at", "updated_at")
    return text(
        f"INSERT INTO {table.name} ({', '.join(columns)}, attempt, transient, undo_attempt, undo_transient) "
        f"SELECT {many.values_of(table, columns)}, 0, false, 0, false FROM {many.rows_of(table, columns)} "
        f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET updated_at = excluded.updated_at "
        f"RETURNING {', '.join(column.name for column in _TAKEN)}"
    ).columns(*_TAKEN)


@cache
def _find_by_json() -> TextualSelect:
    """SQLite looks each key up; for `(a, b, c) IN (VALUES ...)` it would read the whole table."""
    found = " AND ".join(f"t.{name} = json_extract(k.value, '$[{place}]')" for place, name in enumerate(_KEY))
    columns = ", ".join(f"t.{column.name}" for column in _TAKEN)
    return text(f"SELECT {columns} FROM json_each(:keys) AS k CROSS JOIN {table.name} AS t ON {found}").columns(*_TAKEN)


def remember(connection: Connection, known: Mapping[MemoryKey, Memory]) -> None:
    writes = many.Writes()
    writes.update(table, [{**key._asdict(), **vars(memory)} for key, memory in known.items()])
    writes.send(connection)


def park(connection: Connection, key: MemoryKey, direction: Direction) -> None:
    connection.execute(update(table).where(*_is(key)).values(parked=direction.value))


def unpark(connection: Connection, key: MemoryKey) -> None:
    connection.execute(update(table).where(*_is(key)).values(parked=None))


def forget_failure(connection: Connection, key: MemoryKey, direction: Direction) -> None:
    """A command that nobody awaits is to be done once more: its failure answers nobody."""
    outcome = table.c.outcome if direction is Direction.ACTION else table.c.undo_outcome
    connection.execute(update(table).where(*_is(key), outcome == "failed").values({outcome.name: None}))


def _is(key: MemoryKey) -> list[Any]:
    return [table.c[name] == value for name, value in key._asdict().items()]
