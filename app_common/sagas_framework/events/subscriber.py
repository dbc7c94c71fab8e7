"""A subscriber: takes events from its queue and hands them to plain handlers and process managers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from celery import Celery
from sqlalchemy import Engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from sagas_framework.definition.graph import Definition
from sagas_framework.definition.retry import RetryPolicy
from sagas_framework.delivery.after_commit import PUBLISH_TIMEOUT_SECONDS
from sagas_framework.engine.protocol import Act
from sagas_framework.errors import ConfigurationError, OperationRefused
from sagas_framework.events.consumer import Consumer
from sagas_framework.events.inbox import DueEvents, EventBatches
from sagas_framework.events.incoming import Incoming, incoming_of
from sagas_framework.events.intake import Intake
from sagas_framework.events.publishing import Announcer
from sagas_framework.transport.celery_app import Broker
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.inbox import Inbox
from sagas_framework.transport.publisher import Publisher
from sagas_framework.vocabulary.event import AnyEvent


class Subscriber:
    """Build it with `create_subscriber`.

    `app` is the Celery app of its worker, `engine` its database, `sessions` makes sessions on it. `definitions`: of
    orchestrated sagas, of which it has none.
    """

    def __init__(
        self,
        name: str,
        app: Celery,
        broker: Broker,
        engine: Engine,
        queue: str,
        consumers: Sequence[Consumer],
        publishes: Mapping[str, AnyEvent],
        retry: RetryPolicy,
    ) -> None:
        self.name = name
        self.app = app
        self.broker = broker
        self.engine = engine
        self.queue = queue
        self.consumers = consumers
        self.publishes = publishes
        self.sessions: sessionmaker[Session] = sessionmaker(engine)
        self.definitions: Mapping[str, Definition] = {}
        self._announcer = Announcer(Publisher(app, broker, PUBLISH_TIMEOUT_SECONDS), publishes)
        self._intake = Intake(queue, engine, consumers, publishes, retry)
        self._batches = EventBatches(engine, Publisher(app, broker), self._intake)
        self._inbox = Inbox(self._batches.handle)
        for name_of_event in self.subscribes:
            self._inbox.register(app, name_of_event)

    @property
    def subscribes(self) -> Mapping[str, AnyEvent]:
        """The events that it handles, by name."""
        return {name: event for consumer in self.consumers for name, event in consumer.events.items()}

    def publish(self, event: Any, *, session: Session | scoped_session[Any]) -> None:
        """Publishes an event in the session's transaction: the caller's rows and the event, or neither."""
        self._announcer.announce(event, session)

    def act(self, saga_id: str, act: Act) -> None:
        """What operators do to orchestrated sagas, they cannot do to a process manager."""
        raise OperationRefused(
            saga_id,
            type(act).__name__.lower(),
            "a process manager is moved by its events alone; `sagas events list` shows those that wait, and "
            "`sagas events outgoing` the commands that have failed",
        )

    def due_events(self) -> DueEvents:
        """The chore that the delivery thread of a worker runs."""
        return DueEvents(self.engine, Publisher(self.app, self.broker), self._intake)

    def take_unknown(self, delivery: Delivery) -> bool:
        """An event of a type that nobody here handles waits in its place for the operator, and what is behind it waits
        with it. False: it is no event."""
        if not isinstance(incoming_of(delivery, self.queue), Incoming):
            return False
        self._batches.take_unasked(delivery)
        return True


def refuse_missing_subscriptions(name: str, queue: str, consumers: Sequence[Consumer]) -> None:
    """What it handles is not what comes to its queue."""
    if not consumers:
        raise ConfigurationError(f"subscriber {name!r} handles no event; give it handlers or process managers")
    for consumer in consumers:
        for event in consumer.events.values():
            if queue not in event.subscribers:
                subscribed = ", ".join(map(repr, event.subscribers)) or "nobody"
                raise ConfigurationError(
                    f"subscriber {name!r} handles {event.name!r}, which is published to {subscribed} ({event.place}): "
                    f"it would never come. Add {queue!r} to the event's subscribers"
                )
