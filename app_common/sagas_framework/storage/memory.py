"""A participant's memory: one row per (orchestrator, saga, step), taken first by action and compensation alike."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from sagas_framework.storage.schema import participant_memory as table
from sagas_framework.vocabulary.identity import Direction


@dataclass(frozen=True)
class MemoryKey:
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
    transient: bool = False
    undo_attempt: int = 0
    undo_outcome: str | None = None
    undo_reply: Any = None
    undo_failure: Any = None
    undo_transient: bool = False
    parked: str | None = None


_FIELDS = tuple(field.name for field in fields(Memory))


def take(connection: Connection, key: MemoryKey, now: float) -> Memory:
    """Inserts or locks the row in one statement; whoever comes second waits here for the first one's commit."""
    insert = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
    statement = insert(table).values(**vars(key), created_at=now, updated_at=now)
    taken = statement.on_conflict_do_update(
        index_elements=["orchestrator", "saga_id", "step"], set_={"updated_at": statement.excluded.updated_at}
    ).returning(*(table.c[name] for name in _FIELDS))
    return Memory(*connection.execute(taken).one())


def remember(connection: Connection, key: MemoryKey, **changes: Any) -> None:
    connection.execute(
        update(table)
        .where(table.c.orchestrator == key.orchestrator, table.c.saga_id == key.saga_id, table.c.step == key.step)
        .values(**changes)
    )


def unpark(connection: Connection, key: MemoryKey) -> None:
    remember(connection, key, parked=None)


def forget_failure(connection: Connection, key: MemoryKey, direction: Direction) -> None:
    """A command that nobody awaits is to be done once more: its failure answers nobody."""
    outcome = table.c.outcome if direction is Direction.ACTION else table.c.undo_outcome
    connection.execute(
        update(table)
        .where(table.c.orchestrator == key.orchestrator, table.c.saga_id == key.saga_id, table.c.step == key.step)
        .where(outcome == "failed")
        .values({outcome.name: None})
    )
