"""A participant's memory: one row per (orchestrator, saga, step), taken first by action and compensation alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, update

from sagas_framework.storage import many
from sagas_framework.storage.schema import participant_memory as table
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
_FRESH = {"attempt": 0, "transient": False, "undo_attempt": 0, "undo_transient": False}
_OF_OLD = {"failure": "transient", "undo_failure": "undo_transient"}
_TAKEN = tuple(table.c[name] for name in (*_KEY, *_FIELDS, *_OF_OLD.values()))


def take(connection: Connection, keys: Iterable[MemoryKey], now: float) -> dict[MemoryKey, Memory]:
    """Inserts or locks the rows; whoever comes second waits here for the first one's commit.

    In the order of their keys, so that two batches never wait for each other in a ring.
    """
    rows = [{**key._asdict(), **_FRESH, "created_at": now, "updated_at": now} for key in sorted(set(keys))]
    taken = many.take(connection, _TAKEN, rows)
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


def remember(connection: Connection, known: Mapping[MemoryKey, Memory], now: float) -> None:
    writes = many.Writes()
    writes.update(table, [{**key._asdict(), **vars(memory), "updated_at": now} for key, memory in known.items()])
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
