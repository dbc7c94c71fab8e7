"""What an operator gives up is gone from where it waited; here is what stays of it, for those who come after."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection

from sagas_framework.operations.event_views import Outgoing, WaitingEvent
from sagas_framework.storage import keeping
from sagas_framework.storage.keeping import GIVEN_UP, Kept
from sagas_framework.vocabulary import json_text


def keep_skipped(connection: Connection, subscriber: str, event: WaitingEvent, reason: str) -> None:
    what = {"about": event.about, "source": event.source, "situation": event.situation, "says": event.payload}
    _keep(connection, reason, what, event.event, subscriber, event.message_id)


def keep_missing(connection: Connection, subscriber: str, event: WaitingEvent, last: int, reason: str) -> None:
    """Of what has never come, all that is known is which it was."""
    missing = f"{event.aggregate} #{event.next_number}" + (f" to #{last}" if last > event.next_number else "")
    what = {"about": missing, "source": event.source, "situation": "it has never come"}
    _keep(connection, reason, what, None, subscriber, None)


def keep_discarded(connection: Connection, found: Outgoing, reason: str) -> None:
    what = {"about": found.about, "situation": found.situation, "says": found.payload}
    _keep(connection, reason, what, found.task, found.queue, found.message_id, found.saga_id)


def _keep(
    connection: Connection,
    reason: str,
    what: dict[str, Any],
    task: str | None,
    queue: str | None,
    message_id: str | None,
    saga_id: str | None = None,
) -> None:
    """Not as a message that could be sent again: a skipped one would be taken for a duplicate, and what was discarded
    is not to be sent."""
    body = json_text.dumps({"to": queue, **what})
    kept = Kept(f"{GIVEN_UP} {reason}", task, queue, message_id, saga_id, {}, body, intact=False)
    keeping.keep(connection, [kept], time.time())
