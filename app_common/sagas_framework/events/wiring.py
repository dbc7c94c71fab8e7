"""What every worker of a service that publishes runs: its end of the receipts queue."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from celery import Celery
from sqlalchemy import Engine

from sagas_framework.definition.retry import RetryPolicy
from sagas_framework.errors import ContradictoryMessages
from sagas_framework.events.receipts import ReceiptBatches
from sagas_framework.transport.celery_app import Broker
from sagas_framework.transport.inbox import Inbox
from sagas_framework.transport.publisher import Publisher
from sagas_framework.vocabulary.command import AnyCommand
from sagas_framework.vocabulary.event import AnyEvent, event_of
from sagas_framework.vocabulary.names import RECEIPTS_TASK, failure_task_name, success_task_name

logger = logging.getLogger(__name__)

DEFAULT_RETRY = RetryPolicy(max_attempts=8, initial_delay_seconds=1.0, factor=2.0, max_delay_seconds=60.0)
"""Of what an event's handler raises, and of commands that are answered with "not now": two minutes, all in all."""


def events_by_name(classes: Iterable[type[Any]]) -> dict[str, AnyEvent]:
    """Refuses two different events of one name: which of the two would be published?"""
    found: dict[str, AnyEvent] = {}
    for event in map(event_of, classes):
        first = found.setdefault(event.name, event)
        if first != event:
            raise ContradictoryMessages(f"two events are called {event.name!r}: {first.place} and {event.place}")
    return found


def warn_of_unheard(name: str, publishes: Mapping[str, AnyEvent]) -> None:
    """What nobody subscribes to is kept for the operator, each time that it is published."""
    for event in publishes.values():
        if not event.subscribers:
            logger.warning("%s publishes %r, and nobody subscribes to it (%s)", name, event.name, event.place)


def receipts_queues(publishes: Mapping[str, AnyEvent]) -> list[str]:
    return sorted({event.receipts_queue for event in publishes.values()})


def take_receipts(
    app: Celery, broker: Broker, engine: Engine, retry: RetryPolicy, commands: Sequence[AnyCommand] = ()
) -> None:
    """Registers the task of receipts, and those of the answers to these commands."""
    inbox = Inbox(ReceiptBatches(engine, Publisher(app, broker), retry).handle)
    answers = {name(command.name) for command in commands for name in (success_task_name, failure_task_name)}
    for task in (RECEIPTS_TASK, *sorted(answers)):
        inbox.register(app, task)
