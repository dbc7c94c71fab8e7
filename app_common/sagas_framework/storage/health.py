"""What a doctor asks a database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, select, text

from sagas_framework.storage.database import SQLITE_BUSY_TIMEOUT_MILLISECONDS
from sagas_framework.storage.keeping import GIVEN_UP
from sagas_framework.storage.schema import instances, kept_messages, outbox, participant_memory


def clock(connection: Connection) -> float | None:
    """The database server's clock; None where the database has none of its own."""
    if connection.dialect.name != "postgresql":
        return None
    return float(connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())")) or 0)


def sqlite_problems(connection: Connection) -> list[str]:
    """Pragmas that are not as the framework sets them; none for another database."""
    if connection.dialect.name != "sqlite":
        return []
    found = {
        name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    }
    problems = []
    if found["journal_mode"] != "wal":
        problems.append(f"journal_mode is {found['journal_mode']}, it must be wal: readers would block writers")
    if not found["synchronous"]:
        problems.append("synchronous is OFF, it must be NORMAL or more: a crash would damage the file")
    if not found["foreign_keys"]:
        problems.append("foreign_keys are off, they must be on")
    if int(found["busy_timeout"] or 0) < SQLITE_BUSY_TIMEOUT_MILLISECONDS:
        problems.append(
            f"busy_timeout is {found['busy_timeout']} ms, it must be {SQLITE_BUSY_TIMEOUT_MILLISECONDS} ms: "
            "writers would fail instead of waiting for each other"
        )
    return problems


def overdue(connection: Connection, before: float) -> tuple[int, float | None]:
    """How many sagas have been due since before that moment, and since when the first one."""
    statement = select(func.count(), func.min(instances.c.wake_at)).where(instances.c.wake_at <= before)
    count, since = connection.execute(statement).one()
    return int(count), since


def outbox_due_before(connection: Connection, before: float) -> int:
    """What was to be sent by then; not what is to be sent later, or waits for the operator."""
    return int(connection.scalar(select(func.count()).where(outbox.c.due_at <= before)) or 0)


def count_by_status(connection: Connection, statuses: tuple[str, ...]) -> dict[str, int]:
    """Only for statuses of unfinished sagas: those stand in an index that finished ones never meet."""
    statement = select(instances.c.status, func.count()).where(instances.c.status.in_(statuses))
    return {status: int(count) for status, count in connection.execute(statement.group_by(instances.c.status))}


def count_kept(connection: Connection) -> int:
    """Without those that an operator has given up: they are to be found, not to be moved on."""
    waiting = kept_messages.c.reason.not_like(f"{GIVEN_UP}%")
    return int(connection.scalar(select(func.count()).select_from(kept_messages).where(waiting)) or 0)


def count_parked(connection: Connection) -> int:
    return int(connection.scalar(select(func.count()).where(participant_memory.c.parked.isnot(None))) or 0)


def oldest_unfinished(connection: Connection, limit: int) -> Sequence[tuple[str, dict[str, Any]]]:
    """(saga, state) of those that were started first and wait for something."""
    statement = select(instances.c.saga, instances.c.state).order_by(instances.c.id).limit(limit)
    waiting = statement.where(instances.c.status.in_(("running", "compensating")))
    return [(saga, state) for saga, state in connection.execute(waiting)]
