"""The events that a service publishes and handles, and the receipts for them, read from its wiring."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sagas_framework.asyncapi.exchanges import Application
from sagas_framework.asyncapi.names import cleaned
from sagas_framework.events.consumer import Consumer
from sagas_framework.events.handlers import PlainHandler
from sagas_framework.events.subscriber import Subscriber
from sagas_framework.events.wiring import receipts_queues
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
    if not isinstance(application, Subscriber):
        return sent
    handled = (application.subscribes[name] for name in sorted(application.subscribes))
    return sent + [
        Announcement(event, "receive", application.queue, _handlers_of(event, application.consumers))
        for event in handled
    ]


def receipts_of(application: Application) -> list[Receipts]:
    awaited = [Receipts("receive", queue) for queue in receipts_queues(application.publishes)]
    if not isinstance(application, Subscriber):
        return awaited
    return awaited + [Receipts("send", queue, application.queue) for queue in receipts_queues(application.subscribes)]


def _queues_of(event: AnyEvent) -> Sequence[str | None]:
    return sorted(event.subscribers) or [None]


def _handlers_of(event: AnyEvent, consumers: Iterable[Consumer]) -> tuple[str, ...]:
    return tuple(
        f"handled by `{consumer.name}`"
        if isinstance(consumer, PlainHandler)
        else f"handled by process manager `{consumer.description.name}`"
        for consumer in consumers
        if event.name in consumer.events and isinstance(consumer, (PlainHandler, ProcessManagerConsumer))
    )
