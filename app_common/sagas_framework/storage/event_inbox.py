"""What a subscriber has of the events that come to it: how far each aggregate is, and what waits for its turn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, Select, and_, bindparam, delete, select, update

from sagas_framework.storage import many
from sagas_framework.storage.dialects import upsert
from sagas_framework.storage.outbox import StreamKey
from sagas_framework.storage.schema import event_inbox, event_streams

_KEY = StreamKey._fields
_TAKEN = tuple(event_streams.c[name] for name in (*_KEY, "handled", "stored", "recent"))


class Stream(NamedTuple):
    """`handled`: the number of the last event that was. `stored`: whether any of its events may be in the inbox.
    `recent`: by what the last few are known again."""

    handled: int
    stored: bool
    recent: str


def lock_streams(connection: Connection, keys: Iterable[StreamKey]) -> dict[StreamKey, Stream]:
    """Inserts or locks them; whoever comes second waits here for the first one's commit."""
    rows = [{**key._asdict(), "handled": 0, "stored": False, "recent": ""} for key in sorted(set(keys))]
    return {StreamKey(*row[:3]): Stream(*row[3:]) for row in map(tuple, many.take(connection, _TAKEN, rows))}


def write_streams(connection: Connection, streams: dict[StreamKey, Stream]) -> None:
    writes = many.Writes()
    writes.update(event_streams, [{**key._asdict(), **stream._asdict()} for key, stream in sorted(streams.items())])
    writes.send(connection)


def waiting(connection: Connection, key: StreamKey, limit: int) -> Sequence[RowMapping]:
    """The events of a stream that are stored, in their order."""
    statement = select(event_inbox).where(*_is(key)).order_by(event_inbox.c.number).limit(limit)
    return connection.execute(statement).mappings().all()


def message_ids(connection: Connection, key: StreamKey, numbers: Iterable[int]) -> dict[int, str]:
    """Of those among these numbers that are stored."""
    event = event_inbox.c
    statement = select(event.number, event.message_id).where(*_is(key), event.number.in_(list(numbers)))
    return {number: message_id for number, message_id in map(tuple, connection.execute(statement))}


def store(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        statement = upsert(connection)(event_inbox).on_conflict_do_nothing(index_elements=[*_KEY, "number"])
        connection.execute(statement, rows)


def remove(connection: Connection, ids: Sequence[int]) -> None:
    if ids:
        connection.execute(delete(event_inbox).where(event_inbox.c.id.in_(list(ids))))


def change(connection: Connection, row_id: int, **values: Any) -> None:
    connection.execute(update(event_inbox).where(event_inbox.c.id == row_id).values(values))


def wake(connection: Connection, key: StreamKey, number: int, now: float) -> None:
    """It is this one's turn, if it is there and nothing is wrong with it."""
    event = event_inbox.c
    ready = (event.number == number, event.wake_at.is_(None), event.parked.is_(False))
    connection.execute(update(event_inbox).where(*_is(key), *ready).values(wake_at=now))


class Claimed(NamedTuple):
    """An event that this worker alone takes up now. `begun`: how often that came to no end before."""

    id: int
    key: StreamKey
    begun: int


def any_due(connection: Connection, subscriber: str, now: float) -> bool:
    return connection.scalar(_due(subscriber).limit(1), {"now": now}) is not None


def claim_due(connection: Connection, subscriber: str, now: float, until: float, limit: int) -> list[Claimed]:
    """The events whose time has come and whose turn it is, those that wait longest first. Nobody else takes them up
    `until` then."""
    chosen = _due(subscriber).limit(limit).with_for_update(of=event_inbox, skip_locked=True)
    rows = map(tuple, connection.execute(chosen, {"now": now}))
    claimed = [Claimed(row_id, StreamKey(*key), begun) for row_id, begun, *key in rows]
    if claimed:
        taken = update(event_inbox).where(event_inbox.c.id.in_([one.id for one in claimed]))
        connection.execute(taken.values(wake_at=until))
    return claimed


def begin(connection: Connection, ids: Sequence[int]) -> None:
    """They are taken up now; should the worker die over one, it has been counted."""
    taken_up = update(event_inbox).where(event_inbox.c.id.in_(list(ids)))
    connection.execute(taken_up.values(begun=event_inbox.c.begun + 1))


def release(connection: Connection, ids: Sequence[int], wake_at: float) -> None:
    """What was begun has come to an end without being handled, and its worker is alive."""
    event = event_inbox.c
    released = update(event_inbox).where(event.id.in_(list(ids)), event.begun > 0)
    connection.execute(released.values(wake_at=wake_at, begun=event.begun - 1))


def _due(subscriber: str) -> Select[Any]:
    event = event_inbox.c
    return (
        select(event.id, event.begun, *(event[name] for name in _KEY))
        .join(event_streams, and_(*(event_streams.c[name] == event[name] for name in _KEY)))
        .where(event.subscriber == subscriber, event.wake_at <= bindparam("now", type_=event.wake_at.type))
        .where(event.number == event_streams.c.handled + 1)  # whatever else was woken waits for its turn as well
        .order_by(event.wake_at)
    )


def _is(key: StreamKey) -> list[Any]:
    return [event_inbox.c[name] == value for name, value in key._asdict().items()]
