"""A subscriber: takes events from its queue and hands them to plain handlers and process managers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import Celery
from sqlalchemy import Engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from sagas_framework.definition.graph import Definition
from sagas_framework.delivery.after_commit import PUBLISH_TIMEOUT_SECONDS
from sagas_framework.engine.protocol import Act
from sagas_framework.errors import OperationRefused
from sagas_framework.events.publishing import Announcer
from sagas_framework.events.subscription import Subscription
from sagas_framework.transport.celery_app import Broker
from sagas_framework.transport.publisher import Publisher
from sagas_framework.vocabulary.event import AnyEvent


class Subscriber:
    """Build it with `create_subscriber`.

    `app` is the Celery app of its worker, `engine` its database, `sessions` makes sessions on it. `definitions`: of
    orchestrated sagas, of which it has none.
    """

    def __init__(
        self, name: str, app: Celery, broker: Broker, subscription: Subscription, publishes: Mapping[str, AnyEvent]
    ) -> None:
        self.name = name
        self.app = app
        self.broker = broker
        self.engine: Engine = subscription.engine
        self.queue = subscription.queue
        self.consumers = subscription.consumers
        self.publishes = publishes
        self.sessions: sessionmaker[Session] = sessionmaker(self.engine)
        self.definitions: Mapping[str, Definition] = {}
        self.subscription = subscription
        self._announcer = Announcer(Publisher(app, broker, PUBLISH_TIMEOUT_SECONDS), publishes)

    @property
    def subscribes(self) -> Mapping[str, AnyEvent]:
        """The events that it handles, by name."""
        return self.subscription.events

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
