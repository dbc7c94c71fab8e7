"""What comes back to a publisher: receipts for its events, and the answers to the commands that it has sent besides."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping

from sagas_framework.definition.retry import RetryPolicy
from sagas_framework.delivery.batches import Batches, Outcome
from sagas_framework.delivery.kept import kept_of
from sagas_framework.delivery.suspects import POISON
from sagas_framework.storage import instances, keeping, outbox
from sagas_framework.storage.instances import HistoryRow
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import OutgoingMessage, Unreadable, read_arguments
from sagas_framework.vocabulary.command import Failure, FailureKind
from sagas_framework.vocabulary.correlation import HEADER, Correlation
from sagas_framework.vocabulary.identity import message_id
from sagas_framework.vocabulary.names import RECEIPTS_TASK, success_task_name
from sagas_framework.vocabulary.text import is_storable

logger = logging.getLogger(__name__)

COMMAND_FAILED = "command_failed"


class ReceiptBatches(Batches):
    """What the inbox of a receipts queue hands its batches to. `retry`: of commands whose failure says "not now"."""

    def __init__(self, engine: Engine, publisher: Publisher, retry: RetryPolicy) -> None:
        super().__init__(engine, publisher)
        self._retry = retry

    def apply(self, deliveries: Sequence[Delivery], poison: Sequence[Delivery]) -> Outcome:
        now = time.time()
        kept = [kept_of(delivery, POISON) for delivery in poison]
        with self._engine.begin() as connection:
            for delivery in deliveries:
                problem = self._take(connection, delivery, now)
                kept += [kept_of(delivery, problem)] if problem else []
            keeping.keep(connection, kept, now)
        for one in kept:
            logger.warning("kept for the operator: %s %s: %s", one.task, one.message_id, one.reason)
        return Outcome()

    def _take(self, connection: Connection, delivery: Delivery, now: float) -> str | None:
        """What is wrong with it, if anything is."""
        try:
            first, payload = read_arguments(delivery.body, delivery.content_type)
        except Unreadable as error:
            return str(error)
        if delivery.task == RECEIPTS_TASK:
            return _take_receipts(connection, first, payload)
        asked = _asked(delivery)
        if asked is None:
            return "it does not say which command it answers (no header of ours, no parent_id)"
        row = outbox.awaited(connection, asked)
        if row is None:  # an earlier attempt's, or it was answered already
            return None
        place = Correlation.from_headers({HEADER: row["message"]["correlation"]})
        if place is None:
            return f"it answers {asked}, which is no command but the event {row['message']['task']!r}"
        if delivery.task.endswith(success_task_name("")):
            outbox.forget(connection, [row["id"]])
        else:
            correlation = delivery.correlation
            kind = (correlation and correlation.failure_kind) or FailureKind.ERROR
            self._fail(connection, row, place, Failure.from_wire(payload, kind), now)
        return None

    def _fail(self, connection: Connection, row: RowMapping, place: Correlation, failure: Failure, now: float) -> None:
        if failure.kind is FailureKind.TRANSIENT and self._retry.allows_another_after(place.attempt):
            due_at = now + self._retry.delay_seconds_after(place.attempt)
            outbox.change(connection, row["id"], due_at=due_at, **next_attempt(row))
            return
        problem = f"{failure.type}: {failure.message}"
        outbox.change(connection, row["id"], due_at=None, problem=problem)
        logger.warning("command %s %s of saga %s waits for the operator (`sagas events outgoing`): %s",
                       row["message"]["task"], row["message_id"], place.saga, problem)  # fmt: skip
        detail = {"command": row["message"]["task"], "message_id": row["message_id"], "failure": failure.to_json()}
        line = HistoryRow(place.saga, now, COMMAND_FAILED, place.step, place.attempt, detail)
        instances.write(connection, [], [line])


def _take_receipts(connection: Connection, subscriber: Any, payload: Any) -> str | None:
    received = payload.get("received") if isinstance(payload, dict) else None
    if not isinstance(subscriber, str) or not isinstance(received, list):
        return "it is no receipt: it says neither who sends it nor what for"
    outbox.arrived(connection, subscriber, [str(one) for one in received])
    return None


def _asked(delivery: Delivery) -> str | None:
    correlation = delivery.correlation
    asked = (correlation and correlation.in_reply_to) or delivery.headers.get("parent_id")
    return asked if isinstance(asked, str) and is_storable(asked) else None


def next_attempt(row: RowMapping | Mapping[str, Any]) -> dict[str, Any]:
    """A command of the outbox once more, after a failure: what changes of its row."""
    message = OutgoingMessage(**row["message"])
    place = Correlation.from_headers({HEADER: message.correlation})
    assert place is not None
    attempt = place.attempt + 1
    id_ = message_id(place.orchestrator, place.saga, place.step, place.direction, attempt)
    changed = {**row["message"], "id": id_, "correlation": {**(message.correlation or {}), "attempt": attempt}}
    return {"message": changed, "message_id": id_, "times": 0, "problem": None}
