"""Events that a subscriber could not handle, and what goes out and does not arrive: looking, and moving them on.

Acting leaves the rest to a running worker: it looks after what is due several times a second.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping

from sagas_framework.errors import ActRefused, ConfigurationError, NothingWaits, PayloadRefused
from sagas_framework.events.outbound import Outbound
from sagas_framework.events.progress import Progress
from sagas_framework.events.receipts import next_attempt
from sagas_framework.operations import given_up
from sagas_framework.operations.event_views import HowFar, Kind, Outgoing, WaitingEvent, outgoing_of, waiting_event_of
from sagas_framework.operations.process import Speaker, events_queue_of
from sagas_framework.storage import event_inbox, event_views, instances, outbox, views
from sagas_framework.storage.database import reading
from sagas_framework.storage.event_inbox import Stream
from sagas_framework.storage.instances import HistoryRow
from sagas_framework.storage.outbox import StreamKey
from sagas_framework.vocabulary import json_text
from sagas_framework.vocabulary.identity import is_saga_id

logger = logging.getLogger(__name__)

DEFAULT_LIMIT = 50

COMMAND_RESENT = "command_resent"
COMMAND_DISCARDED = "command_discarded"


class Events:
    """`Events(subscriber)`, `Events(orchestrator)`; `Events(participant)` for what goes out."""

    def __init__(self, process: Speaker) -> None:
        self._process = process

    @property
    def _engine(self) -> Engine:
        if self._process.engine is None:
            raise ConfigurationError("a participant without a database keeps no events")
        return self._process.engine

    @property
    def _subscriber(self) -> str:
        queue = events_queue_of(self._process)
        if queue is None:
            raise ConfigurationError("no events come in here: name a subscriber, or an orchestrator that events reach")
        return queue

    # ---- the inbox ------------------------------------------------------------------------------------------------

    def waiting(self, limit: int = DEFAULT_LIMIT, about: str | None = None) -> list[WaitingEvent]:
        """What is parked first, then what is tried again, then what waits for others; the oldest first. `about`: an
        aggregate (`user_id=17`) or the id of a message."""
        with reading(self._engine) as connection:
            rows = event_views.list_waiting(connection, self._subscriber, limit, about)
        return [waiting_event_of(row) for row in rows]

    def progress(self, aggregate: str) -> list[HowFar]:
        """How far this subscriber is with an aggregate, also where nothing waits: one for each source."""
        with reading(self._engine) as connection:
            found = event_views.progress(connection, self._subscriber, aggregate)
        return [HowFar(source, aggregate, handled) for source, handled in found]

    def show(self, number: int) -> WaitingEvent:
        with reading(self._engine) as connection:
            return self._waiting(connection, number)

    def replay(self, number: int, reason: str = "") -> WaitingEvent:
        """Tries it again at once and forgives what failed before; those that it holds back follow by themselves."""
        with self._engine.begin() as connection:
            held = self._hold(connection, number, "replay")
            failure = None if held.event.failure is None else held.event.failure | {"replayed": reason}
            forgiven = {"parked": False, "attempts": 0, "begun": 0, "failure": failure}
            event_inbox.change(connection, number, wake_at=time.time(), **forgiven)
        _note_event("event_replayed", held.event, reason)
        return held.event

    def replay_parked(self, reason: str = "") -> list[WaitingEvent]:
        """All that are parked, each in a transaction of its own."""
        with reading(self._engine) as connection:
            numbers = event_views.parked_ids(connection, self._subscriber)
        replayed = []
        for number in numbers:
            try:
                replayed.append(self.replay(number, reason))
            except NothingWaits:
                continue  # somebody else has moved it on meanwhile
        return replayed

    def skip(self, number: int, reason: str) -> WaitingEvent:
        """Gives this event up for good: it counts as handled, and later ones of the same go on. What it said stays
        among the kept messages, with the reason; so do the other two things that are given up here."""
        with self._engine.begin() as connection:
            held = self._hold(connection, number, "skip")
            event_inbox.remove(connection, [number])
            given_up.keep_skipped(connection, self._subscriber, held.event, reason)
            _go_on_from(connection, held.key, held.progress.after(held.event.message_id), held.others_wait)
        _note_event("event_skipped", held.event, reason)
        return held.event

    def skip_missing(self, number: int, reason: str) -> WaitingEvent:
        """Gives up the events that have not come and that this one waits for; should one come after all, it is taken
        for a duplicate."""
        with self._engine.begin() as connection:
            key, event, _ = self._locked(connection, number)
            first = event_inbox.waiting(connection, key, 1)[0]["number"]
            if first == event.next_number:
                raise ActRefused("skip --missing", number, f"no event is missing before it; it is {event.situation}")
            given_up.keep_missing(connection, self._subscriber, event, first - 1, reason)
            _go_on_from(connection, key, Progress(first - 1), others_wait=True)
        _note_event(f"missing_events_skipped #{event.next_number} to #{first - 1}", event, reason)
        return event

    def _waiting(self, connection: Connection, number: int) -> WaitingEvent:
        row = event_views.waiting(connection, self._subscriber, number)
        if row is None:
            raise NothingWaits(number, "event", "sagas events list")
        return waiting_event_of(row)

    def _locked(self, connection: Connection, number: int) -> tuple[StreamKey, WaitingEvent, Progress]:
        """The event as it is while its stream is locked: whoever held that before may have moved it on."""
        event = self._waiting(connection, number)
        key = StreamKey(self._subscriber, event.source, event.aggregate)
        stream = event_inbox.lock_streams(connection, [key])[key]
        return key, self._waiting(connection, number), Progress(stream.handled, stream.recent)

    def _hold(self, connection: Connection, number: int, operation: str) -> _Held:
        """The event, with its stream locked; refused where it is not its turn."""
        key, event, progress = self._locked(connection, number)
        if event.held_by is not None:
            raise ActRefused(operation, number, f"it is {event.situation}; replay or skip {event.held_by} first")
        if event.number != event.next_number:
            raise ActRefused(
                operation, number,
                f"it {event.situation}; {event.source} sends that until it arrives (`sagas events outgoing` there). If "
                f"it is lost for good: `sagas events skip {number} --missing`",
            )  # fmt: skip
        return _Held(key, event, progress, others_wait=len(event_inbox.waiting(connection, key, 2)) > 1)

    # ---- the outbox -----------------------------------------------------------------------------------------------

    def outgoing(self, limit: int = DEFAULT_LIMIT, about: str | None = None) -> list[Outgoing]:
        """What has not arrived: first what is not sent any more, then what was tried most often; the oldest first.
        `about`: an aggregate, a saga or a message."""
        with reading(self._engine) as connection:
            return [outgoing_of(row) for row in event_views.list_outgoing(connection, limit, about)]

    def show_outgoing(self, number: int) -> Outgoing:
        with reading(self._engine) as connection:
            row = event_views.outgoing(connection, number)
        if row is None:
            raise NothingWaits(number, "outgoing message", "sagas events outgoing")
        return outgoing_of(row)

    def resend(self, number: int, reason: str = "") -> Outgoing:
        """Sends it now: what is awaited once more; a command that has failed as another attempt; an event that nobody
        subscribed to, anew to those who subscribe by now, behind what was published about the same meanwhile."""
        now = time.time()
        with self._engine.begin() as connection:
            row = _taken(connection, number)
            found = outgoing_of(row)
            if found.problem is None:
                outbox.change(connection, number, due_at=now)
            elif found.queue is None:
                self._publish_anew(connection, found, now)
            else:
                outbox.change(connection, number, due_at=now, **next_attempt(row))
                _note_command(connection, COMMAND_RESENT, found, reason, now)
        _note_outgoing("outgoing_resent", found, reason)
        return found

    def resend_queue(self, queue: str, reason: str = "") -> int:
        """All that waits for somebody who takes from this queue, now; how much that is. What has failed is not sent."""
        with self._engine.begin() as connection:
            count = outbox.make_due(connection, queue, time.time())
        logger.warning("queue_resent: %d for %s; %s", count, queue, reason)
        return count

    def resend_failed(self, reason: str = "") -> tuple[list[Outgoing], list[ActRefused]]:
        """All that is not sent any more, the oldest first; with what could not be sent."""
        with reading(self._engine) as connection:
            numbers = event_views.ids_with_problems(connection)
        resent, refused = [], []
        for number in numbers:
            try:
                resent.append(self.resend(number, reason))
            except NothingWaits:
                continue  # somebody else has moved it on meanwhile
            except ActRefused as error:
                refused.append(error)
        return resent, refused

    def discard(self, number: int, reason: str) -> Outgoing:
        """It is never sent again. An event's subscriber goes on without it only when an operator there says so."""
        with self._engine.begin() as connection:
            found = outgoing_of(_taken(connection, number))
            outbox.forget(connection, [number])
            given_up.keep_discarded(connection, found, reason)
            if found.kind is Kind.COMMAND:
                _note_command(connection, COMMAND_DISCARDED, found, reason, time.time())
        _note_outgoing("outgoing_discarded", found, reason)
        return found

    def _publish_anew(self, connection: Connection, found: Outgoing, now: float) -> None:
        event = self._process.publishes.get(found.task)
        if event is None:
            known = ", ".join(sorted(self._process.publishes)) or "none"
            reason = f"this process does not publish {found.task!r} (but {known}); name the one that does with --app"
            raise ActRefused("resend", found.id, reason)
        if not event.subscribers:
            reason = f"still nobody subscribes to {event.name!r}; add a queue to its subscribers ({event.place})"
            raise ActRefused("resend", found.id, reason)
        outbound = Outbound(self._process.publishes)
        try:
            outbound.publish(event.decode(found.payload))
        except PayloadRefused as error:
            raise ActRefused(
                "resend", found.id, f"as it was published, it is no {event.name!r} now: {error}"
            ) from error
        outbox.forget(connection, [found.id])
        outbound.write(connection, now, sent_at_once=False)


@dataclass(frozen=True)
class _Held:
    """An event whose turn it is, with its stream locked. `others_wait`: later ones are stored."""

    key: StreamKey
    event: WaitingEvent
    progress: Progress
    others_wait: bool


def _go_on_from(connection: Connection, key: StreamKey, progress: Progress, others_wait: bool) -> None:
    event_inbox.write_streams(connection, {key: Stream(progress.handled, others_wait, progress.recent)})
    event_inbox.wake(connection, key, progress.handled + 1, time.time())


def _taken(connection: Connection, number: int) -> RowMapping:
    row = outbox.take(connection, number)
    if row is None:
        raise NothingWaits(number, "outgoing message", "sagas events outgoing")
    return row


# ---- what stays of it in the log -------------------------------------------------------------------------------------


def _note_event(what: str, event: WaitingEvent, reason: str) -> None:
    logger.warning(
        "%s: number %d, %s %s (%s of %s), which was %s; %s; it says %s",
        what, event.id, event.event, event.message_id, event.about, event.source, event.situation, reason,
        json_text.dumps(event.payload),
    )  # fmt: skip


def _note_outgoing(what: str, found: Outgoing, reason: str) -> None:
    logger.warning(
        "%s: number %d, %s %s (%s) to %s, %s; %s; it says %s",
        what, found.id, found.task, found.message_id, found.about, found.queue or "nobody", found.situation, reason,
        json_text.dumps(found.payload),
    )  # fmt: skip


def _note_command(connection: Connection, event: str, found: Outgoing, reason: str, now: float) -> None:
    """In the history of the process manager, if it is one of this database."""
    saga_id = found.saga_id
    if saga_id is not None and is_saga_id(saga_id) and views.saga(connection, saga_id) is not None:
        detail: dict[str, Any] = {"reason": reason, "command": found.task, "message_id": found.message_id}
        line = HistoryRow(saga_id, now, event, found.step, found.attempt, detail | {"problem": found.problem})
        instances.write(connection, [], [line])
