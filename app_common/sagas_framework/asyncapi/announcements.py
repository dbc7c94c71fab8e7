"""The events that a service publishes and handles, and the receipts for them, read from its wiring."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sagas_framework.asyncapi.exchanges import Application
from sagas_framework.asyncapi.names import cleaned
from sagas_framework.events.consumer import Consumer
from sagas_framework.events.handlers import PlainHandler
from sagas_framework.events.subscription import Subscription
from sagas_framework.events.wiring import receipts_queues
from sagas_framework.orchestrator.on_events import SagaStarter
from sagas_framework.participant.participant import Participant
from sagas_framework.process_managers.consumer import ProcessManagerConsumer
from sagas_framework.vocabulary.event import AnyEvent

NOBODY = "nobody"
"""Stands for the queue in the name of a channel that has none."""


@dataclass(frozen=True)
class Announcement:
    """An event on its way to one subscriber's queue, as one service sees it. None: nobody subscribes to it.
    `handlers`: who handles it here."""

    event: AnyEvent
    action: Literal["send", "receive"]
    queue: str | None
    handlers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Receipts:
    """What a subscriber says to a source's receipts queue. `subscriber` is its queue; None: anybody's."""

    action: Literal["send", "receive"]
    queue: str
    subscriber: str | None = None


def channel_name(message: str, queue: str | None) -> str:
    """The same in the documents of both sides. A queue may have any name, a channel not."""
    return f"{message}.to.{cleaned(queue or NOBODY)}"


def operation_name(message: str, action: str, queue: str | None) -> str:
    """A subscriber may publish what it subscribes to: sending and receiving are two operations on one channel."""
    return channel_name(message, queue) if action == "send" else f"{message}.at.{cleaned(queue or NOBODY)}"


def announcements_of(application: Application) -> list[Announcement]:
    published = (application.publishes[name] for name in sorted(application.publishes))
    sent = [Announcement(event, "send", queue) for event in published for queue in _queues_of(event)]
    subscription = subscription_of(application)
    if subscription is None:
        return sent
    handled = (subscription.events[name] for name in sorted(subscription.events))
    return sent + [
        Announcement(event, "receive", subscription.queue, tuple(_handlers_of(event, subscription.consumers)))
        for event in handled
    ]


def receipts_of(application: Application) -> list[Receipts]:
    awaited = [Receipts("receive", queue) for queue in receipts_queues(application.publishes)]
    subscription = subscription_of(application)
    if subscription is None:
        return awaited
    return awaited + [Receipts("send", queue, subscription.queue) for queue in receipts_queues(subscription.events)]


def subscription_of(application: Application) -> Subscription | None:
    return None if isinstance(application, Participant) else application.subscription


def _queues_of(event: AnyEvent) -> Sequence[str | None]:
    return sorted(event.subscribers) or [None]


def _handlers_of(event: AnyEvent, consumers: Iterable[Consumer]) -> Iterator[str]:
    for consumer in consumers:
        if event.name not in consumer.events:
            continue
        if isinstance(consumer, SagaStarter):
            yield from (f"starts `{saga}`" for saga in consumer.sagas_started_by(event.name))
        elif isinstance(consumer, ProcessManagerConsumer):
            yield f"handled by process manager `{consumer.description.name}`"
        elif isinstance(consumer, PlainHandler):
            yield f"handled by `{consumer.name}`"
