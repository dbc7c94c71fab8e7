"""What operators look at of events: the inbox of a subscriber and everybody's outbox, read without taking any lock."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, Select, and_, case, func, or_, select

from sagas_framework.storage.schema import event_inbox, event_streams, outbox

_STREAM = ("subscriber", "source", "aggregate")


def list_waiting(connection: Connection, subscriber: str, limit: int, about: str | None = None) -> Sequence[RowMapping]:
    """What is parked first, then what is tried again, then what waits for others; the oldest first."""
    event = event_inbox.c
    urgency = case((event.parked, 0), (event.wake_at.isnot(None), 1), else_=2)
    chosen = select(event_inbox, urgency.label("urgency")).where(event.subscriber == subscriber)
    if about is not None:
        chosen = chosen.where(or_(event.aggregate == about, event.message_id == about))
    return _with_their_heads(connection, chosen.order_by(urgency, event.id).limit(limit))


def waiting(connection: Connection, subscriber: str, row_id: int) -> RowMapping | None:
    event = event_inbox.c
    chosen = select(event_inbox, event.id.label("urgency")).where(event.subscriber == subscriber, event.id == row_id)
    return next(iter(_with_their_heads(connection, chosen)), None)


def _with_their_heads(connection: Connection, chosen: Select[tuple[object, ...]]) -> Sequence[RowMapping]:
    """Each with how far its stream is, the event whose turn it is there (`head_...`), and how many stand behind it
    (counted only for that one: the others' numbers would be counted again and again)."""
    event, stream = chosen.subquery("chosen"), event_streams
    head, behind = event_inbox.alias("head"), event_inbox.alias("behind")
    same_stream = [stream.c[name] == event.c[name] for name in _STREAM]
    its_turn = and_(*(head.c[name] == event.c[name] for name in _STREAM), head.c.number == stream.c.handled + 1)
    count = (
        select(func.count())
        .select_from(behind)
        .where(*(behind.c[name] == event.c[name] for name in _STREAM), behind.c.number > event.c.number)
        .scalar_subquery()
    )
    statement = (
        select(
            event,
            stream.c.handled,
            head.c.id.label("head_id"),
            head.c.parked.label("head_parked"),
            head.c.wake_at.label("head_wake_at"),
            case((event.c.number == stream.c.handled + 1, count), else_=0).label("behind"),
        )
        .select_from(event.join(stream, and_(*same_stream)).outerjoin(head, its_turn))
        .order_by(event.c.urgency, event.c.id)
    )
    return connection.execute(statement).mappings().all()


def progress(connection: Connection, subscriber: str, aggregate: str) -> list[tuple[str, int]]:
    """(source, number of the last event that was handled)"""
    stream = event_streams.c
    chosen = select(stream.source, stream.handled).where(stream.subscriber == subscriber, stream.aggregate == aggregate)
    return [(source, handled) for source, handled in connection.execute(chosen.order_by(stream.source))]


def parked_ids(connection: Connection, subscriber: str) -> Sequence[int]:
    """The oldest first."""
    event = event_inbox.c
    found = select(event.id).where(event.subscriber == subscriber, event.parked).order_by(event.id)
    return connection.execute(found).scalars().all()


def list_outgoing(connection: Connection, limit: int, about: str | None = None) -> Sequence[RowMapping]:
    """What waits for the operator first, then what was tried most often; the oldest first. `about`: an aggregate, a
    saga or a message."""
    chosen = select(outbox).order_by(outbox.c.problem.is_(None), outbox.c.times.desc(), outbox.c.id).limit(limit)
    if about is not None:
        said = (outbox.c.message["correlation", name].as_string() for name in ("aggregate", "saga"))
        chosen = chosen.where(or_(outbox.c.message_id == about, *(one == about for one in said)))
    return connection.execute(chosen).mappings().all()


def outgoing(connection: Connection, row_id: int) -> RowMapping | None:
    return connection.execute(select(outbox).where(outbox.c.id == row_id)).mappings().first()


def ids_with_problems(connection: Connection) -> Sequence[int]:
    """The oldest first."""
    return (
        connection.execute(select(outbox.c.id).where(outbox.c.problem.isnot(None)).order_by(outbox.c.id))
        .scalars()
        .all()
    )


# ---- what a doctor asks ----------------------------------------------------------------------------------------------


def count_parked(connection: Connection, subscriber: str) -> tuple[int, float | None]:
    """How many events wait for the operator, and since when the oldest."""
    event = event_inbox.c
    statement = select(func.count(), func.min(event.received_at)).where(event.subscriber == subscriber, event.parked)
    count, since = connection.execute(statement).one()
    return int(count), since


def count_overdue(connection: Connection, subscriber: str, before: float) -> tuple[int, float | None]:
    """How many events have been due since before that moment, and since when the first one."""
    event = event_inbox.c
    statement = select(func.count(), func.min(event.wake_at))
    count, since = connection.execute(statement.where(event.subscriber == subscriber, event.wake_at <= before)).one()
    return int(count), since


def gaps(connection: Connection, subscriber: str, before: float, limit: int) -> list[tuple[str, str, int]]:
    """(source, aggregate, number) of events that have not come, though later ones came before that moment."""
    stored = (
        select(*(event_inbox.c[name] for name in _STREAM), func.min(event_inbox.c.number).label("first"))
        .where(event_inbox.c.subscriber == subscriber)
        .group_by(*(event_inbox.c[name] for name in _STREAM))
        .having(func.min(event_inbox.c.received_at) <= before)
        .subquery()
    )
    stream = event_streams.c
    statement = (
        select(stream.source, stream.aggregate, stream.handled + 1)
        .join(stored, and_(*(stored.c[name] == stream[name] for name in _STREAM)))
        .where(stored.c.first > stream.handled + 1)
        .order_by(stream.source, stream.aggregate)
        .limit(limit)
    )
    return [(source, aggregate, number) for source, aggregate, number in connection.execute(statement)]


def count_problems(connection: Connection) -> dict[str, int]:
    """By what is the matter with what was not sent any more."""
    statement = select(outbox.c.problem, func.count()).where(outbox.c.problem.isnot(None)).group_by(outbox.c.problem)
    return {problem: int(count) for problem, count in connection.execute(statement)}


def count_unconfirmed(connection: Connection, times: int) -> dict[str, int]:
    """By queue: what was tried that often, and nobody has said that it has arrived."""
    sent = select(outbox.c.queue, func.count()).where(outbox.c.times >= times, outbox.c.problem.is_(None))
    return {queue: int(count) for queue, count in connection.execute(sent.group_by(outbox.c.queue))}
