"""Taking events in: each once, in the order of its aggregate, in one transaction with all that its handlers do.

What is not its turn yet, and what a handler has raised at, is stored; its publisher gets a receipt all the same, for
from then on it is ours to see to. The first try runs without savepoints. If anything raises, the same batch runs once
more with a savepoint round each event, and still one commit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Engine

from sagas_framework.definition.retry import RetryPolicy
from sagas_framework.errors import PayloadRefused
from sagas_framework.events.consumer import Consumer, Occurrence
from sagas_framework.events.incoming import Incoming, incoming_of_row
from sagas_framework.events.outbound import Outbound
from sagas_framework.events.progress import Progress
from sagas_framework.events.streams import OpenStream, turns
from sagas_framework.storage import event_inbox
from sagas_framework.storage.database import LentSession, check_deferred_constraints, lent_session
from sagas_framework.storage.event_inbox import Claimed, Stream
from sagas_framework.storage.outbox import StreamKey
from sagas_framework.storage.weather import is_bad_weather
from sagas_framework.transport.wire import OutgoingMessage
from sagas_framework.vocabulary.command import Failure
from sagas_framework.vocabulary.event import AnyEvent

logger = logging.getLogger(__name__)

Turns = Iterable[tuple[OpenStream, Incoming]]
Opened = Callable[[Connection], dict[StreamKey, OpenStream]]

MOST_READ_AT_ONCE = 50
"""So many stored events of one stream are handled in one transaction; the rest in the next ones."""


@dataclass(frozen=True)
class TakenIn:
    """What a committed transaction has left to be sent, and the ids of what it could not take in: it is to come again,
    and gets no receipt."""

    outgoing: list[OutgoingMessage]
    crowded_out: set[str]


class Intake:
    """The events of one subscriber. `subscriber` is the queue that it takes them from."""

    def __init__(
        self,
        subscriber: str,
        engine: Engine,
        consumers: Sequence[Consumer],
        publishes: Mapping[str, AnyEvent],
        retry: RetryPolicy,
    ) -> None:
        self.subscriber = subscriber
        self.engine = engine
        self.consumers = consumers
        self._publishes = publishes
        self._retry = retry
        self.events: Mapping[str, AnyEvent] = {
            name: event for consumer in consumers for name, event in consumer.events.items()
        }

    def take_in(self, arrived: Sequence[Incoming], now: float, *, followers: bool = True) -> TakenIn:
        """Handles or stores all of them and, with `followers`, what is stored behind them."""

        def opened(connection: Connection) -> dict[StreamKey, OpenStream]:
            return _open_streams(connection, arrived, now, followers=followers)

        return self._carefully_if_need_be(opened, arrived, now)

    def go_on(self, claimed: Sequence[Claimed], now: float, *, followers: bool = True) -> list[OutgoingMessage]:
        """Handles these stored events and, with its `followers`, what can be handled behind each."""

        def opened(connection: Connection) -> dict[StreamKey, OpenStream]:
            return _reopen_streams(connection, claimed, MOST_READ_AT_ONCE if followers else 1)

        return self._carefully_if_need_be(opened, (), now).outgoing

    def _carefully_if_need_be(self, opened: Opened, arrived: Sequence[Incoming], now: float) -> TakenIn:
        try:
            return self._transaction(opened, arrived, now, careful=False)
        except Exception as error:
            if is_bad_weather(error):
                raise
            logger.warning("a batch of events is run again with savepoints: %r", error)
        return self._transaction(opened, arrived, now, careful=True)

    def _transaction(self, opened: Opened, arrived: Sequence[Incoming], now: float, *, careful: bool) -> TakenIn:
        with self.engine.begin() as connection, lent_session(connection) as session:
            streams = opened(connection)
            outbound = Outbound(self._publishes)
            outbound.take_all_of(session)
            work = _Work(connection, session, self.consumers, outbound, now)
            handle = self._one_by_one if careful else self._all_at_once
            handle(turns(streams, arrived, now), work)
            crowded_out = _write(connection, streams, now)
            outgoing = outbound.write(connection, now, sent_at_once=True)  # last: others may count the same aggregates
        _tell_of_new_counts(streams.values(), crowded_out)
        return TakenIn(outgoing, {one.message_id for one in crowded_out})

    def _all_at_once(self, turns: Turns, work: _Work) -> None:
        occurrences = []
        for stream, incoming in turns:
            occurrence = self._occurrence(incoming)
            if isinstance(occurrence, Failure):
                self._fail(stream, incoming, occurrence, work.now)
                continue
            occurrences.append(occurrence)
            stream.done()
        work.do(occurrences)

    def _one_by_one(self, turns: Turns, work: _Work) -> None:
        for stream, incoming in turns:
            occurrence = self._occurrence(incoming)
            if isinstance(occurrence, Failure):
                self._fail(stream, incoming, occurrence, work.now)
                continue
            try:
                with work.session.begin_nested():
                    work.session.connection()  # the savepoint is there only now
                    work.do([occurrence])
                    check_deferred_constraints(work.session)
                stream.done()
            except Exception as error:
                if is_bad_weather(error):
                    raise
                self._fail(stream, incoming, Failure.of(error), work.now)

    def _occurrence(self, incoming: Incoming) -> Occurrence | Failure:
        """What this worker does not know, or cannot read, another one of a newer release beside it may: it is tried
        again like what a handler raises at."""
        event = self.events.get(incoming.event)
        if event is None:
            known = ", ".join(sorted(self.events))
            return Failure("UnknownEvent", f"{self.subscriber} handles no such event (but {known})")
        try:
            payload = event.decode(incoming.payload)
        except PayloadRefused as refused:
            return Failure("PayloadRefused", str(refused))
        stream = incoming.stream
        return Occurrence(event, incoming.message_id, stream.source, stream.aggregate, incoming.number, payload)

    def _fail(self, stream: OpenStream, incoming: Incoming, failure: Failure, now: float) -> None:
        attempts = incoming.attempts + 1
        parked = not self._retry.allows_another_after(attempts)
        wake_at = None if parked else now + self._retry.delay_seconds_after(attempts)
        stream.failed = replace(incoming, attempts=attempts, parked=parked, wake_at=wake_at, problem=failure)
        what = "waits for the operator (`sagas events list`)" if parked else "will be tried again"
        logger.warning(
            "event %s %s (number %d of %s) %s: %s: %s; later events of the same wait behind it",
            incoming.event, incoming.message_id, incoming.number, incoming.stream.aggregate, what,
            failure.type, failure.message,
        )  # fmt: skip


@dataclass(frozen=True)
class _Work:
    """What handling needs of a transaction."""

    connection: Connection
    session: LentSession
    consumers: Sequence[Consumer]
    outbound: Outbound
    now: float

    def do(self, occurrences: Sequence[Occurrence]) -> None:
        """All of it; what it says is still to be written."""
        if not occurrences:
            return
        opened = [
            (consumer.events, consumer.begin(self.connection, self.session, self.outbound, self.now))
            for consumer in self.consumers
        ]
        for wanted, consumption in opened:
            consumption.prepare([one for one in occurrences if one.event.name in wanted])
        for occurrence in occurrences:
            for wanted, consumption in opened:
                if occurrence.event.name in wanted:
                    consumption.handle(occurrence)
        for _, consumption in opened:
            consumption.write()
        self.session.flush()


# ---- the streams, from the database and back -------------------------------------------------------------------------


def _open_streams(
    connection: Connection, arrived: Sequence[Incoming], now: float, *, followers: bool
) -> dict[StreamKey, OpenStream]:
    """Those in which something has arrived, with what is stored of them, as far as it may be handled now."""
    locked = event_inbox.lock_streams(connection, {one.stream for one in arrived})
    streams = {key: OpenStream(key, _progress(locked[key]), only_arrived=not followers) for key in locked}
    comes = {(one.stream, one.number) for one in arrived}
    for key, stream in streams.items():
        if locked[key].stored:
            _read(connection, stream, 1)
            # However many wait behind one that is parked, or that is missing: who joins them costs no more for it.
            if followers and (stream.next(now) is not None or (key, stream.handled + 1) in comes):
                _read(connection, stream, MOST_READ_AT_ONCE)
    return streams


def _reopen_streams(connection: Connection, claimed: Sequence[Claimed], limit: int) -> dict[StreamKey, OpenStream]:
    """Those in which stored events were claimed; whoever claims one may handle it now."""
    locked = event_inbox.lock_streams(connection, {one.key for one in claimed})
    streams = {key: OpenStream(key, _progress(locked[key])) for key in locked}
    for stream in streams.values():
        _read(connection, stream, limit, ready={one.id for one in claimed})
    return streams


def _progress(stream: Stream) -> Progress:
    return Progress(stream.handled, stream.recent)


def _read(connection: Connection, stream: OpenStream, limit: int, ready: Collection[int] = ()) -> None:
    rows = event_inbox.waiting(connection, stream.key, limit)
    stream.read_up_to = rows[-1]["number"] if len(rows) == limit else None
    for row in rows:
        incoming = incoming_of_row(row)
        stream.add(replace(incoming, wake_at=None) if row["id"] in ready else incoming)


def _write(connection: Connection, streams: Mapping[StreamKey, OpenStream], now: float) -> list[Incoming]:
    """Gives those for which there was no place."""
    event_inbox.remove(connection, [row_id for stream in streams.values() for row_id in stream.done_rows])
    crowded_out = [one for stream in streams.values() for one in (*stream.crowded_out, *_unseen(connection, stream))]
    event_inbox.store(connection, [_row(one, now) for stream in streams.values() for one in _to_store(stream)])
    for stream in streams.values():
        failed = stream.failed
        if failed is not None and failed.row_id is not None:
            assert failed.problem is not None
            changes = {"attempts": failed.attempts, "parked": failed.parked, "wake_at": failed.wake_at, "begun": 0}
            event_inbox.change(connection, failed.row_id, failure=failed.problem.to_json(), **changes)
        elif stream.moved and stream.read_up_to is not None:
            event_inbox.wake(connection, stream.key, stream.handled + 1, now)
    states = {key: Stream(stream.handled, stream.stored, stream.progress.recent) for key, stream in streams.items()}
    event_inbox.write_streams(connection, states)
    return crowded_out


def _unseen(connection: Connection, stream: OpenStream) -> list[Incoming]:
    """Whose places others have that are stored, and were not read."""
    if stream.read_up_to is None or not stream.new:
        return []
    stored = event_inbox.message_ids(connection, stream.key, [one.number for one in stream.new])
    return [one for one in stream.new if stored.get(one.number, one.message_id) != one.message_id]


def _tell_of_new_counts(streams: Iterable[OpenStream], crowded_out: Sequence[Incoming]) -> None:
    for first in (stream.counted_anew[0] for stream in streams if stream.counted_anew):
        logger.warning(
            "%s counts its events of %s anew: number %d had been handled, and event %s %s has it as well; was its "
            "database restored? It is handled as the next one (docs/howto/operate-events.md)",
            first.stream.source, first.stream.aggregate, first.number, first.event, first.message_id,
        )  # fmt: skip
    for one in crowded_out:
        logger.warning(
            "event %s %s gets no receipt yet: another event is stored as number %d of %s of %s; was the publisher's "
            "database restored? It is taken in once that one is gone (docs/howto/operate-events.md)",
            one.event, one.message_id, one.number, one.stream.aggregate, one.stream.source,
        )  # fmt: skip


def _to_store(stream: OpenStream) -> list[Incoming]:
    failed = stream.failed
    return [failed if failed is not None and failed.number == one.number else one for one in stream.new]


def _row(incoming: Incoming, now: float) -> dict[str, object]:
    return {
        **incoming.stream._asdict(),
        "number": incoming.number,
        "event": incoming.event,
        "message_id": incoming.message_id,
        "payload": incoming.payload,
        "attempts": incoming.attempts,
        "begun": 0,
        "failure": incoming.problem.to_json() if incoming.problem else None,
        "parked": incoming.parked,
        "wake_at": incoming.wake_at,
        "received_at": now,
    }
