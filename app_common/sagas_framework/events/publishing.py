"""Publishing in a transaction of the application's own, or of a step: nothing is said of what is rolled back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session, scoped_session

from sagas_framework.delivery.after_commit import AfterCommit, Pending
from sagas_framework.events.outbound import Outbound
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import OutgoingMessage
from sagas_framework.vocabulary.event import AnyEvent


@dataclass
class _Said(Pending):
    outbound: Outbound


Announce = Callable[[Any, Any], None]
"""What publishes an event in a session's transaction."""


class Announcer(AfterCommit[_Said]):
    """A service's way to publish. All that a transaction publishes is numbered and written as its very last statements,
    so that nobody waits for its numbers longer than for its commit, and leaves just after it; in the end the relay of a
    worker sends it."""

    def __init__(self, publisher: Publisher, publishes: Mapping[str, AnyEvent]) -> None:
        super().__init__(publisher)
        self._publishes = publishes

    def announce(self, event: Any, session: Session | scoped_session[Any]) -> None:
        outbound = Outbound(self._publishes)
        outbound.publish(event)
        self.add(session() if isinstance(session, scoped_session) else session, _Said((), outbound))

    def add(self, session: Session, item: _Said) -> None:
        all_of_it = Outbound.of(session)
        if all_of_it is None:
            super().add(session, item)
        else:
            all_of_it.include(item.outbound)

    def write(self, connection: Connection, items: Sequence[_Said]) -> Sequence[OutgoingMessage]:
        together = Outbound(self._publishes)
        for said in items:
            together.include(said.outbound)
        return together.write(connection, time.time(), sent_at_once=all(said.commit_is_seen for said in items))
