"""Does any event wait for a person, or for somebody who is not there?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from sqlalchemy import Connection

from sagas_framework.operations.advice import OVERDUE_SECONDS
from sagas_framework.operations.findings import Finding, many
from sagas_framework.operations.words import one_line
from sagas_framework.storage import event_views
from sagas_framework.vocabulary.event import AnyEvent

LATE_SECONDS = 300.0
"""What is sent again and again comes within minutes."""
MANY_SENDINGS = 4  # within half a minute and a bit
SHOWN = 3


def inbox(connection: Connection, subscriber: str, start_worker: str) -> Iterator[Finding]:
    yield _parked(connection, subscriber)
    yield _gaps(connection, subscriber)
    yield _overdue(connection, subscriber, start_worker)


def unheard(publishes: Mapping[str, AnyEvent]) -> Finding:
    """What is declared and goes to nobody."""
    names = sorted(event.name for event in publishes.values() if not event.subscribers)
    if not names:
        return Finding("publishes", True, f"{many(len(publishes), 'event', 'events')}, each with a subscriber")
    remedy = "add the queue of whoever handles it to its `subscribers`, or do not publish it"
    return Finding("publishes", False, f"nobody subscribes to {', '.join(names)}", remedy)


def outgoing(connection: Connection) -> Iterator[Finding]:
    yield _failed(connection)
    yield _unconfirmed(connection)


def _parked(connection: Connection, subscriber: str) -> Finding:
    count, since = event_views.count_parked(connection, subscriber)
    if not count or since is None:
        return Finding("events", True, "none is parked")
    oldest = f"{many(count, 'event is', 'events are')} parked, the oldest came {_age(since)} ago"
    text = f"{oldest}; later ones about the same are held back"
    return Finding("events", False, text, "sagas events list, then replay or skip each")


def _gaps(connection: Connection, subscriber: str) -> Finding:
    found = event_views.gaps(connection, subscriber, time.time() - LATE_SECONDS, SHOWN + 1)
    if not found:
        return Finding("order", True, "no event waits long for an earlier one")
    missing = ", ".join(f"{aggregate} #{number} of {source}" for source, aggregate, number in found[:SHOWN])
    text = f"later events have waited for more than {LATE_SECONDS / 60:.0f} min for {missing}"
    remedy = "run the worker of whoever publishes it; if it is lost: sagas events skip NUMBER --missing"
    return Finding("order", False, text + (", ..." if len(found) > SHOWN else ""), remedy)


def _overdue(connection: Connection, subscriber: str, start_worker: str) -> Finding:
    count, since = event_views.count_overdue(connection, subscriber, time.time() - OVERDUE_SECONDS)
    if not count or since is None:
        return Finding("retries", True, "no event is overdue")
    due = f"{many(count, 'event has', 'events have')} been due for {_age(since)}"
    text = f"{due}, and no worker tries {'it' if count == 1 else 'them'}"
    return Finding("retries", False, text, f"{start_worker} (if one runs, read its log)")


def _failed(connection: Connection) -> Finding:
    problems = event_views.count_problems(connection)
    if not problems:
        return Finding("outgoing", True, "nothing that goes out has failed")
    worst = sorted(problems.items(), key=lambda item: (-item[1], item[0]))
    told = ", ".join(f"{one_line(problem)} ({count})" for problem, count in worst[:SHOWN])
    failed = many(sum(problems.values()), "outgoing message waits", "outgoing messages wait")
    text = f"{failed} for a person: {told}{', ...' if len(worst) > SHOWN else ''}"
    return Finding("outgoing", False, text, "sagas events outgoing, then resend or discard each")


def _unconfirmed(connection: Connection) -> Finding:
    queues = event_views.count_unconfirmed(connection, MANY_SENDINGS)
    if not queues:
        return Finding("receipts", True, "nothing is sent again and again")
    told = ", ".join(f"{queue} ({count})" for queue, count in sorted(queues.items()))
    text = f"tried {MANY_SENDINGS} times and more for these queues without a receipt or an answer: {told}"
    remedy = "start (or look into) the workers that take messages from these queues"
    return Finding("receipts", False, text, remedy)


def _age(since: float) -> str:
    seconds = time.time() - since
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{max(seconds, 0):.0f} s"
