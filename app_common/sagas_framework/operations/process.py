"""What the operator's tools need of the process they look into: an orchestrator, a participant or a
subscriber."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from celery import Celery
from sqlalchemy import Engine

from sagas_framework.events.subscription import Subscription
from sagas_framework.transport.celery_app import Broker
from sagas_framework.vocabulary.event import AnyEvent


class Process(Protocol):
    """Each keeps what it could not handle in its own database."""

    @property
    def app(self) -> Celery: ...

    @property
    def broker(self) -> Broker: ...

    @property
    def engine(self) -> Engine | None: ...


class Speaker(Process, Protocol):
    """Each of them has an outbox, and who takes events an inbox besides."""

    @property
    def publishes(self) -> Mapping[str, AnyEvent]: ...


def events_queue_of(process: Process) -> str | None:
    """The queue from which a subscriber, or an orchestrator whose sagas events start, takes events."""
    subscription: Subscription | None = getattr(process, "subscription", None)
    return subscription.queue if subscription else None
