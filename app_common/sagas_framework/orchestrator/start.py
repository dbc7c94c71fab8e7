"""Starting a saga inside the caller's transaction, and sending its first commands once that has committed."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, SessionTransaction, scoped_session

from sagas_framework.definition.graph import Definition
from sagas_framework.engine.protocol import Start
from sagas_framework.engine.state import SagaState
from sagas_framework.errors import PublishFailed
from sagas_framework.orchestrator.chain import Care, Chain
from sagas_framework.orchestrator.instance import Instance, Work
from sagas_framework.storage import instances, keeping
from sagas_framework.storage.database import lent_savepoint
from sagas_framework.transport.publisher import Publisher
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.identity import new_saga_id

logger = logging.getLogger(__name__)

PUBLISH_TIMEOUT_SECONDS = 1.0
"""How long a caller waits for the broker after its commit; then the due loop sends in its place."""


def start(
    definition: Definition,
    orchestrator: str,
    data: Any,
    session: Session | scoped_session[Any],
    idempotency_key: str | None,
    starts: Starts,
) -> tuple[str, bool]:
    """The saga's id, and whether this call has started it."""
    session = session() if isinstance(session, scoped_session) else session  # the one of this thread, web request, ...
    now = time.time()
    encoded = codec.encode(definition.data_type, data, f"data of {definition.name}")
    instance = Instance(definition, new_saga_id(), SagaState(), encoded)
    columns = {
        "orchestrator": orchestrator,
        "saga": definition.name,
        "idempotency_key": idempotency_key,
        "created_at": now,
    }
    # In a savepoint: the caller may catch what a step raises and commit the rest; no half of a saga must be in it.
    with lent_savepoint(session) as lent:
        # The key is taken before any step runs: a repeated start must have no effects, and must not raise.
        if idempotency_key is not None and not instances.insert_with_key(
            lent.connection(), instance.row(now, woken=True) | columns
        ):
            return _started_before(lent.connection(), orchestrator, definition.name, idempotency_key), False
        chain = Chain(orchestrator, instance, lent, Care.CALLER)
        chain.run(Start(now))
    row = instance.row(now, woken=True)
    starts.add(session, _Started(row if idempotency_key is not None else row | columns, chain.work, now))
    return instance.id, True


def _started_before(connection: Connection, orchestrator: str, saga: str, idempotency_key: str) -> str:
    known = instances.id_of_key(connection, orchestrator, saga, idempotency_key)
    if known is None:
        raise LookupError(f"the saga with idempotency key {idempotency_key!r} is not visible in this snapshot")
    return known


@dataclass
class _Started:
    """A saga that its caller has not committed yet. `row` is what is still to be written of it."""

    row: dict[str, Any]
    work: Work
    now: float
    begun_in: SessionTransaction | None = None


class Starts:
    """The sagas that sessions have started: all of a transaction's are written as its very last statements, one for
    each table, and their commands are published just after it. What a rollback takes along is forgotten."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def add(self, session: Session, started: _Started) -> None:
        connection = session.connection()
        if isinstance(session.get_bind(), Connection):
            # Its transaction may be somebody else's, whose commit we would not see: the due loop sends.
            _write(connection, [started])
            return
        if self not in session.info:
            session.info[self] = _Uncommitted(session, self._publisher)
        session.info[self].add(connection, started)


class _Uncommitted:
    """What one session has started and not committed."""

    def __init__(self, session: Session, publisher: Publisher) -> None:
        self._session = session
        self._publisher = publisher
        self._sagas: list[_Started] = []
        event.listen(session, "after_commit", self._committed)
        event.listen(session, "after_soft_rollback", self._rolled_back)

    def add(self, connection: Connection, started: _Started) -> None:
        started.begun_in = self._session.get_nested_transaction() or self._session.get_transaction()
        self._sagas.append(started)
        # Not the session's before_commit: it comes before the last flush, where a listener may start a saga as well.
        if not event.contains(connection, "commit", self._about_to_commit):
            event.listen(connection, "commit", self._about_to_commit)

    def _of_this_transaction(self) -> list[_Started]:
        """What a transaction has started that close() ended silently is not of this one, and was never committed."""
        transaction = self._session.get_transaction()
        return [started for started in self._sagas if _within(started.begun_in, transaction)]

    def _about_to_commit(self, connection: Connection) -> None:
        _write(connection, self._of_this_transaction())

    def _committed(self, session: Session) -> None:
        if session.in_nested_transaction():  # a savepoint was released: nothing is committed yet
            return
        messages = [message for started in self._of_this_transaction() for message in started.work.outgoing]
        self._sagas.clear()
        try:
            self._publisher.publish(messages)
        except PublishFailed as error:
            logger.warning("%d commands wait for the due loop: %s", len(messages), error)
        except Exception:  # the caller's work is committed: nothing that happens here is to look like its failure
            logger.exception("%d commands wait for the due loop", len(messages))

    def _rolled_back(self, session: Session, ended: SessionTransaction) -> None:
        self._sagas = [started for started in self._sagas if not _within(started.begun_in, ended)]


def _write(connection: Connection, batch: Sequence[_Started]) -> None:
    instances.write(
        connection,
        [started.row for started in batch if "orchestrator" not in started.row],
        [line for started in batch for line in started.work.history],
        new=[started.row for started in batch if "orchestrator" in started.row],
    )
    for started in batch:
        keeping.add_to_outbox(connection, [vars(message) for message in started.work.outbox], started.now)


def _within(transaction: SessionTransaction | None, ended: SessionTransaction | None) -> bool:
    while transaction is not None:
        if transaction is ended:
            return True
        transaction = transaction.parent
    return False
