"""What leaves just after the commit of a transaction that is somebody else's, and never if it is rolled back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, SessionTransaction

from sagas_framework.errors import PublishFailed, TwoPhaseRefused
from sagas_framework.storage.database import LentSession
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import OutgoingMessage

logger = logging.getLogger(__name__)

PUBLISH_TIMEOUT_SECONDS = 1.0
"""How long a caller waits for the broker after its commit; then somebody else sends in its place."""


@dataclass
class Pending:
    """What was done in a transaction that is not committed yet. `commit_is_seen`: what is to be sent of it leaves just
    after the commit; else somebody else sends it."""

    outgoing: Sequence[OutgoingMessage]
    begun_in: SessionTransaction | None = field(default=None, init=False)
    commit_is_seen: bool = field(default=False, init=False)


Item = TypeVar("Item", bound=Pending)


class AfterCommit(Generic[Item]):
    """Publishes what was added in a session's transaction just after its commit; what a rollback takes along is
    forgotten.

    Danger: a process may die in between, and the broker may be away. So add only what somebody else sends in the end:
    the due loop, or the answer to being asked again.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def write(self, connection: Connection, items: Sequence[Item]) -> Sequence[OutgoingMessage]:
        """Called with all of a transaction's items as its very last statements, for what is still to be written; gives
        what is to be sent."""
        return [message for item in items for message in item.outgoing]

    def add(self, session: Session, item: Item) -> None:
        refuse_two_phases(session)
        connection = session.connection()
        if isinstance(session, LentSession):
            kind: type[_Gathered[Item]] = _Lent
        elif isinstance(session.get_bind(), Connection):
            # Its transaction may be somebody else's, whose end we would not see.
            self.write(connection, [item])
            return
        else:
            kind = _Uncommitted
        if self not in session.info:
            session.info[self] = kind(session, self)
        session.info[self].add(connection, item)

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        try:
            self._publisher.publish(messages)
        except PublishFailed as error:
            logger.warning("%d messages are not sent now, but later by somebody else: %s", len(messages), error)
        except Exception:  # the caller's work is committed: nothing that happens here is to look like its failure
            logger.exception("%d messages are not sent now, but later by somebody else", len(messages))


def refuse_two_phases(session: Session) -> None:
    """SQLAlchemy does not say when such a session commits: what is written then would be lost."""
    if session.twophase:
        raise TwoPhaseRefused


class _Gathered(Generic[Item]):
    """What was added in one session and is not committed."""

    def __init__(self, session: Session, after: AfterCommit[Item]) -> None:
        self._session = session
        self._after = after
        self._items: list[Item] = []
        event.listen(session, "after_soft_rollback", self._rolled_back)

    def add(self, connection: Connection, item: Item) -> None:
        item.begun_in = self._session.get_nested_transaction() or self._session.get_transaction()
        self._items.append(item)

    def _of_this_transaction(self) -> list[Item]:
        """What was added in a transaction that close() ended silently is not of this one, and was never committed."""
        transaction = self._session.get_transaction()
        return [item for item in self._items if _within(item.begun_in, transaction)]

    def _rolled_back(self, session: Session, ended: SessionTransaction) -> None:
        self._items = [item for item in self._items if not _within(item.begun_in, ended)]


class _Lent(_Gathered[Item]):
    """In a session that is lent to user code: written when the loan ends, or, within another loan, when that ends. The
    commit is its owner's."""

    _session: LentSession

    def __init__(self, session: LentSession, after: AfterCommit[Item]) -> None:
        super().__init__(session, after)
        session.last_writes.append(self._write)

    def _write(self, connection: Connection) -> None:
        lender = self._session.lender
        if isinstance(lender, LentSession):
            for item in self._of_this_transaction():
                self._after.add(lender, item)
        else:
            self._after.write(connection, self._of_this_transaction())


class _Uncommitted(_Gathered[Item]):
    """In the caller's own session."""

    def __init__(self, session: Session, after: AfterCommit[Item]) -> None:
        super().__init__(session, after)
        self._written: tuple[SessionTransaction | None, Sequence[OutgoingMessage]] = (None, ())
        event.listen(session, "after_commit", self._committed)

    def add(self, connection: Connection, item: Item) -> None:
        super().add(connection, item)
        item.commit_is_seen = True
        # Not the session's before_commit: it comes before the last flush, where a listener may add something as well.
        if not event.contains(connection, "commit", self._write):
            event.listen(connection, "commit", self._write)

    def _write(self, connection: Connection) -> None:
        self._written = (self._session.get_transaction(), self._after.write(connection, self._of_this_transaction()))

    def _committed(self, session: Session) -> None:
        if session.in_nested_transaction():  # a savepoint was released: nothing is committed yet
            return
        transaction, messages = self._written
        self._written = (None, ())
        self._items.clear()
        if transaction is session.get_transaction():  # else it was not committed
            self._after.publish(messages)


def _within(transaction: SessionTransaction | None, ended: SessionTransaction | None) -> bool:
    while transaction is not None:
        if transaction is ended:
            return True
        transaction = transaction.parent
    return False
