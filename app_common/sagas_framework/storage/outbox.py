"""The outbox: what is to be sent, and what was sent and has not arrived as far as anybody has said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select, update

from sagas_framework.storage import many
from sagas_framework.storage.schema import event_numbers, outbox

MOST_NAMED_AT_ONCE = 1_000


class StreamKey(NamedTuple):
    """The events of one source about one thing, as one subscriber gets them."""

    subscriber: str
    source: str
    aggregate: str


_COUNTED = tuple(event_numbers.c[name] for name in (*StreamKey._fields, "last"))


@dataclass(frozen=True)
class OutboxRow:
    """`message` are the fields of an OutgoingMessage. `awaited`: it stays until somebody says that it has arrived.
    `due_at` None: it waits for the operator, because of the `problem`."""

    message: dict[str, Any]
    awaited: bool
    due_at: float | None
    times: int = 0
    problem: str | None = None


def fire_and_forget(message: dict[str, Any], now: float) -> OutboxRow:
    """What nobody answers: it goes once the broker has taken it."""
    return OutboxRow(message, awaited=False, due_at=now)


def add(connection: Connection, rows: Iterable[OutboxRow], now: float) -> None:
    values = [
        {
            **vars(row),
            "queue": row.message["queue"],
            "message_id": row.message["id"],
            "created_at": now,
        }
        for row in rows
    ]
    if values:
        connection.execute(insert(outbox).inline(), values)


def next_numbers(connection: Connection, wanted: Iterable[StreamKey]) -> dict[StreamKey, Iterator[int]]:
    """For each stream as many numbers as it was named times, each higher than any that was given before.

    Whoever else counts the same stream waits here for this transaction's end: so the numbers are in the order of the
    commits, and none is ever missing. In the order of their keys, so that two never wait for each other in a ring.
    """
    more = dict(sorted(Counter(wanted).items()))
    rows = [{**key._asdict(), "last": count} for key, count in more.items()]
    counted = {StreamKey(*key): last for *key, last in map(tuple, many.count_on(connection, _COUNTED, rows))}
    return {key: iter(range(last - more[key] + 1, last + 1)) for key, last in counted.items()}


def is_due(connection: Connection, now: float) -> bool:
    due = select(outbox.c.id).where(outbox.c.due_at <= bindparam("now", type_=outbox.c.due_at.type)).limit(1)
    return connection.scalar(due, {"now": now}) is not None


def take_due(connection: Connection, now: float, limit: int) -> Sequence[RowMapping]:
    """What is due, locked for whoever sends it."""
    statement = (
        select(outbox)
        .where(outbox.c.due_at <= bindparam("now", type_=outbox.c.due_at.type))
        .order_by(outbox.c.due_at, outbox.c.id)
        .limit(limit)
    )
    return connection.execute(statement.with_for_update(skip_locked=True), {"now": now}).mappings().all()


def put_off(connection: Connection, waits: Iterable[tuple[int, float]]) -> None:
    """It was their turn, whatever came of it; (id, when it is again)."""
    rows = [{"row_id": row_id, "row_due_at": due_at} for row_id, due_at in waits]
    if rows:
        due_at = bindparam("row_due_at", type_=outbox.c.due_at.type)
        statement = update(outbox).where(outbox.c.id == bindparam("row_id"))
        connection.execute(statement.values(due_at=due_at, times=outbox.c.times + 1), rows)


def forget(connection: Connection, ids: Sequence[int]) -> None:
    if ids:
        connection.execute(delete(outbox).where(outbox.c.id.in_(list(ids))))


def arrived(connection: Connection, queue: str, message_ids: Sequence[str]) -> None:
    """Somebody who takes from this queue says so of these."""
    ids = sorted(set(message_ids))
    for start in range(0, len(ids), MOST_NAMED_AT_ONCE):  # from outside: there may be more than a statement can name
        named = outbox.c.message_id.in_(ids[start : start + MOST_NAMED_AT_ONCE])
        connection.execute(delete(outbox).where(named, outbox.c.queue == queue))


def awaited(connection: Connection, message_id: str) -> RowMapping | None:
    """The command that is still waited for, locked."""
    statement = select(outbox).where(outbox.c.message_id == message_id, outbox.c.awaited).with_for_update()
    return connection.execute(statement).mappings().first()


def take(connection: Connection, row_id: int) -> RowMapping | None:
    """One row, locked for an operator."""
    return connection.execute(select(outbox).where(outbox.c.id == row_id).with_for_update()).mappings().first()


def change(connection: Connection, row_id: int, **values: Any) -> None:
    connection.execute(update(outbox).where(outbox.c.id == row_id).values(values))


def make_due(connection: Connection, queue: str, now: float) -> int:
    """All that waits to be sent (again) to this queue; how much that is."""
    waits = update(outbox).where(outbox.c.queue == queue, outbox.c.due_at.isnot(None))
    return connection.execute(waits.values(due_at=now)).rowcount
