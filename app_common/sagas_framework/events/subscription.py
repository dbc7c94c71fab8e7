"""A queue of events and who handles what comes to it: what a subscriber, and an orchestrator whose sagas events start,
both have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from celery import Celery
from sqlalchemy import Engine

from sagas_framework.definition.retry import RetryPolicy
from sagas_framework.errors import ConfigurationError
from sagas_framework.events.consumer import Consumer
from sagas_framework.events.due import DueEvents
from sagas_framework.events.inbox import EventBatches
from sagas_framework.events.incoming import Incoming, incoming_of
from sagas_framework.events.intake import Intake
from sagas_framework.transport.celery_app import Broker
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.inbox import Inbox
from sagas_framework.transport.publisher import Publisher
from sagas_framework.vocabulary.event import AnyEvent


class Subscription:
    def __init__(
        self,
        app: Celery,
        broker: Broker,
        engine: Engine,
        queue: str,
        consumers: Sequence[Consumer],
        publishes: Mapping[str, AnyEvent],
        retry: RetryPolicy,
    ) -> None:
        self.queue = queue
        self.consumers = consumers
        self.events: Mapping[str, AnyEvent] = {
            name: event for consumer in consumers for name, event in consumer.events.items()
        }
        self._app = app
        self._broker = broker
        self._engine = engine
        self._intake = Intake(queue, engine, consumers, publishes, retry)
        self._batches = EventBatches(engine, Publisher(app, broker), self._intake)
        inbox = Inbox(self._batches.handle)
        for name in self.events:
            inbox.register(app, name)

    def due_events(self) -> DueEvents:
        """The chore that the delivery thread of a worker runs."""
        return DueEvents(self._engine, Publisher(self._app, self._broker), self._intake)

    def take_unknown(self, delivery: Delivery) -> bool:
        """An event of a type that nobody here handles fails in its place like any other, and what is behind it waits.
        False: it is no event."""
        if not isinstance(incoming_of(delivery, self.queue), Incoming):
            return False
        self._batches.take_unasked(delivery)
        return True


def refuse_missing_subscriptions(who: str, queue: str, consumers: Sequence[Consumer]) -> None:
    """What it handles is not what comes to its queue. `who`: `subscriber 'registration'`."""
    for consumer in consumers:
        for event in consumer.events.values():
            if queue not in event.subscribers:
                subscribed = ", ".join(map(repr, event.subscribers)) or "nobody"
                raise ConfigurationError(
                    f"{who} handles {event.name!r}, which is published to {subscribed} ({event.place}): "
                    f"it would never come. Add {queue!r} to the event's subscribers"
                )
