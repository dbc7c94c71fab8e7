"""Saga instances and their history: loading for update, writing back, claiming what is due."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select, update

from sagas_framework.storage import many
from sagas_framework.storage.dialects import upsert
from sagas_framework.storage.schema import history, instances


@dataclass(frozen=True)
class StoredInstance:
    """What a transition needs of a row."""

    id: str
    saga: str
    data: Any
    state: dict[str, Any]
    wake_at: float | None


@dataclass(frozen=True)
class HistoryRow:
    saga_id: str
    at: float
    event: str
    step: str | None
    attempt: int | None
    detail: dict[str, Any] | None


_LOADED = (instances.c.id, instances.c.saga, instances.c.data, instances.c.state, instances.c.wake_at)
_CLAIM = (
    select(*_LOADED)
    .where(
        instances.c.orchestrator == bindparam("orchestrator"),
        instances.c.wake_at <= bindparam("now", type_=instances.c.wake_at.type),
        # Those that this release knows: another one, half deployed, looks after the others.
        instances.c.saga.in_(bindparam("sagas", expanding=True)),
    )
    .order_by(instances.c.wake_at)
    .limit(bindparam("limit"))
)


def lock(connection: Connection, ids: Iterable[str], *, skip_locked: bool = False) -> list[StoredInstance]:
    """Locks the instances in the order of their ids, so that two batches never wait for each other in a ring."""
    return _load(connection, _lock(connection.dialect.name, skip_locked), {"ids": sorted(set(ids))})


@cache
def _lock(dialect: str, skip_locked: bool) -> Select[Any]:
    chosen = select(*_LOADED).where(many.is_any(dialect, instances.c.id)).order_by(instances.c.id)
    return chosen.with_for_update(skip_locked=skip_locked)


def existing(connection: Connection, ids: Iterable[str]) -> list[str]:
    """Which of these ids there are, whoever holds them."""
    return list(connection.scalars(select(instances.c.id).where(instances.c.id.in_(list(ids)))))


def claim_due(
    connection: Connection, orchestrator: str, sagas: Iterable[str], now: float, limit: int
) -> list[StoredInstance]:
    """Locks instances whose time has come, passing over those that somebody else is working on."""
    parameters = {"orchestrator": orchestrator, "sagas": list(sagas), "now": now, "limit": limit}
    return _load(connection, _CLAIM.with_for_update(skip_locked=True), parameters)


def _load(connection: Connection, statement: Select[Any], parameters: dict[str, Any]) -> list[StoredInstance]:
    return [StoredInstance(*row) for row in connection.execute(statement, parameters)]


def write(
    connection: Connection,
    rows: Sequence[dict[str, Any]],
    told: Sequence[HistoryRow] = (),
    new: Sequence[dict[str, Any]] = (),
) -> None:
    """Writes instances back, inserts new ones, and adds to their history, all in one statement where that is cheaper.

    Rows without `wake_at` leave that column, and so its index, untouched.
    """
    writes = many.Writes()
    writes.update(instances, [row for row in rows if "wake_at" not in row], adding="stale_replies")
    writes.update(instances, [row for row in rows if "wake_at" in row], adding="stale_replies")
    writes.insert(instances, new)
    writes.insert(history, [vars(row) for row in told])
    writes.send(connection)


def count_stale_replies(connection: Connection, counts: Sequence[tuple[str, int]]) -> None:
    """Replies that changed nothing: nothing else of their sagas' rows is touched."""
    writes = many.Writes()
    rows = [{"id": saga_id, "stale_replies": more} for saga_id, more in sorted(counts)]
    writes.update(instances, rows, adding="stale_replies")
    writes.send(connection)


def postpone(connection: Connection, saga_id: str, wake_at: float) -> None:
    connection.execute(update(instances).where(instances.c.id == saga_id).values(wake_at=wake_at))


def insert_with_key(connection: Connection, row: dict[str, Any]) -> bool:
    """Inserts an instance; False when its idempotency key is taken. Never fails the caller's transaction."""
    statement = upsert(connection)(instances).on_conflict_do_nothing(
        index_elements=["orchestrator", "saga", "idempotency_key"]
    )
    return connection.execute(statement.returning(instances.c.id), row).first() is not None


def id_of_key(connection: Connection, orchestrator: str, saga: str, idempotency_key: str) -> str | None:
    found: str | None = connection.scalar(
        select(instances.c.id).where(
            instances.c.orchestrator == orchestrator,
            instances.c.saga == saga,
            instances.c.idempotency_key == idempotency_key,
        )
    )
    return found


def next_wake_at(connection: Connection, orchestrator: str, sagas: Iterable[str]) -> float | None:
    """When the earliest instance is due; one look at the head of a small index."""
    earliest: float | None = connection.scalar(
        select(instances.c.wake_at)
        .where(
            instances.c.orchestrator == orchestrator,
            instances.c.wake_at.isnot(None),
            instances.c.saga.in_(list(sagas)),
        )
        .order_by(instances.c.wake_at)
        .limit(1)
    )
    return earliest
