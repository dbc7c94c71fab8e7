"""What operators look at: sagas, their history and kept messages, read without taking any lock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, RowMapping, bindparam, select

from sagas_framework.storage.schema import history, instances, kept_messages, outbox, process_events

_LISTED = tuple(column for column in instances.c if column is not instances.c.data)
_STANDING = select(instances.c.status, instances.c.paused, instances.c.current_step).where(
    instances.c.id == bindparam("id")
)


def list_sagas(
    connection: Connection,
    *,
    statuses: Sequence[str] = (),
    saga: str | None = None,
    created_before: float | None = None,
    limit: int = 50,
) -> Sequence[RowMapping]:
    """The newest first: ids are ordered by time, so that the primary key is the order."""
    statement = select(*_LISTED).order_by(instances.c.id.desc()).limit(limit)
    if statuses:
        statement = statement.where(instances.c.status.in_(statuses))
    if saga is not None:
        statement = statement.where(instances.c.saga == saga)
    if created_before is not None:
        statement = statement.where(instances.c.created_at <= created_before)
    return connection.execute(statement).mappings().all()


def saga(connection: Connection, saga_id: str) -> RowMapping | None:
    return connection.execute(select(instances).where(instances.c.id == saga_id)).mappings().first()


def standing(connection: Connection, saga_id: str) -> RowMapping | None:
    """The little that whoever waits for a saga looks at, again and again."""
    return connection.execute(_STANDING, {"id": saga_id}).mappings().first()


def ids_between(connection: Connection, lowest: str, highest: str, limit: int) -> Sequence[str]:
    """The ids of a range: those that begin alike are neighbours, on either database."""
    found = select(instances.c.id).where(instances.c.id.between(lowest, highest))
    return connection.execute(found.order_by(instances.c.id).limit(limit)).scalars().all()


def history_of(connection: Connection, saga_id: str) -> Sequence[RowMapping]:
    statement = select(history).where(history.c.saga_id == saga_id).order_by(history.c.id)
    return connection.execute(statement).mappings().all()


def failed_commands(connection: Connection, saga_ids: Sequence[str]) -> Mapping[str, list[tuple[str, str]]]:
    """Of these sagas: (command, problem) of what they have sent and waits for the operator; the oldest first."""
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    if not saga_ids:
        return found
    sent_by = outbox.c.message[("correlation", "saga")].as_string()
    statement = select(sent_by, outbox.c.message["task"].as_string(), outbox.c.problem).order_by(outbox.c.id)
    for saga_id, command, problem in connection.execute(
        statement.where(outbox.c.problem.isnot(None), sent_by.in_(saga_ids))
    ):
        found[saga_id].append((command, problem))
    return found


def recorded_by(connection: Connection, saga_id: str, limit: int) -> Sequence[RowMapping]:
    """The latest of its own events, in their order."""
    latest = select(process_events).where(process_events.c.saga_id == saga_id)
    found = connection.execute(latest.order_by(process_events.c.version.desc()).limit(limit))
    return found.mappings().all()[::-1]


def list_kept(connection: Connection, limit: int, saga_id: str | None = None) -> Sequence[RowMapping]:
    """The newest first."""
    statement = select(kept_messages).order_by(kept_messages.c.id.desc()).limit(limit)
    if saga_id is not None:
        statement = statement.where(kept_messages.c.saga_id == saga_id)
    return connection.execute(statement).mappings().all()


def kept(connection: Connection, kept_id: int) -> RowMapping | None:
    return connection.execute(select(kept_messages).where(kept_messages.c.id == kept_id)).mappings().first()
