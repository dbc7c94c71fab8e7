"""A queue of events and who handles what comes to it: what a subscriber, and an orchestrator whose sagas events start,
both have."""

from __future__ import annotations

from collections.abc import Sequence

from celery import Celery

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


class Subscription:
    """`intake`: of the events that come to its queue."""

    def __init__(self, app: Celery, broker: Broker, intake: Intake) -> None:
        self.queue = intake.subscriber
        self.engine = intake.engine
        self.consumers = intake.consumers
        self.events = intake.events
        self._app = app
        self._broker = broker
        self._intake = intake
        self._batches = EventBatches(self.engine, Publisher(app, broker), intake)
        inbox = Inbox(self._batches.handle)
        for name in self.events:
            inbox.register(app, name)

    def due_events(self) -> DueEvents:
        """The chore that the delivery thread of a worker runs."""
        return DueEvents(self.engine, Publisher(self._app, self._broker), self._intake)

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
