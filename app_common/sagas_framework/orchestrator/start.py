"""Starting a saga inside the caller's transaction, and sending its first commands once that has committed."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, SessionTransaction

from sagas_framework.definition.graph import Definition
from sagas_framework.engine.protocol import Start
from sagas_framework.engine.state import SagaState
from sagas_framework.errors import PublishFailed
from sagas_framework.orchestrator.chain import Care, Chain
from sagas_framework.orchestrator.instance import Instance
from sagas_framework.storage import instances, keeping
from sagas_framework.storage.database import lent_session
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import OutgoingMessage
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.identity import new_saga_id

logger = logging.getLogger(__name__)

PUBLISH_TIMEOUT_SECONDS = 1.0
"""How long a caller waits for the broker after its commit; then the due loop sends in its place."""

_PENDING = "sagas_to_send_after_commit"


@dataclass(frozen=True)
class SagaHandle:
    """A started saga. `created` is False when the idempotency key had started it before."""

    saga_id: str
    created: bool


def start(
    definition: Definition,
    orchestrator: str,
    data: Any,
    session: Session,
    idempotency_key: str | None,
    after_commit: AfterCommit,
) -> SagaHandle:
    now = time.time()
    encoded = codec.encode(definition.data_type, data, f"data of {definition.name}")
    instance = Instance(definition, new_saga_id(), SagaState(), encoded)
    columns = {
        "orchestrator": orchestrator,
        "saga": definition.name,
        "idempotency_key": idempotency_key,
        "created_at": now,
    }
    # A savepoint: the caller may catch what a step raises and commit the rest; no half of a saga must be in it.
    with session.begin_nested():
        connection = session.connection()
        if idempotency_key is not None:
            # The key is taken before any step runs: a repeated start must have no effects, and must not raise.
            if not instances.insert_new(connection, _row(instance, now) | columns):
                return SagaHandle(
                    _started_before(connection, orchestrator, definition.name, idempotency_key), created=False
                )
        with lent_session(connection) as lent:
            chain = Chain(orchestrator, instance, lent, Care.CALLER)
            chain.run(Start(now))
        row = _row(instance, now)
        if idempotency_key is None:
            instances.insert_new(connection, row | columns)
        else:
            instances.write(connection, [row])
        instances.add_history(connection, chain.work.history)
        keeping.add_to_outbox(connection, [vars(message) for message in chain.work.unawaited], now)
    after_commit.send(session, chain.work.outgoing)
    return SagaHandle(instance.id, created=True)


def _started_before(connection: Connection, orchestrator: str, saga: str, idempotency_key: str) -> str:
    known = instances.id_of_key(connection, orchestrator, saga, idempotency_key)
    if known is None:
        raise LookupError(f"the saga with idempotency key {idempotency_key!r} is not visible in this snapshot")
    return known


def _row(instance: Instance, now: float) -> dict[str, Any]:
    return {"wake_at": None} | instance.row(now, woken=True)


class AfterCommit:
    """Publishes once the session has committed; what a rollback or a rolled-back savepoint took along is dropped."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def send(self, session: Session, messages: list[OutgoingMessage]) -> None:
        if isinstance(session.get_bind(), Connection):
            return  # its transaction may be somebody else's, whose commit we would not see: the due loop sends
        pending = session.info.setdefault(_PENDING, [])
        if not event.contains(session, "after_commit", self._committed):
            event.listen(session, "after_commit", self._committed)
            event.listen(session, "after_soft_rollback", self._rolled_back)
        pending.append((session.get_nested_transaction() or session.get_transaction(), messages))

    def _committed(self, session: Session) -> None:
        if session.in_nested_transaction():  # a savepoint was released: nothing is committed yet
            return
        ended = session.get_transaction()
        groups = session.info.pop(_PENDING, ())
        # What was started in a transaction that close() ended silently is not of this one, and was never committed.
        messages = [message for begun_in, group in groups if _within(begun_in, ended) for message in group]
        try:
            self._publisher.publish(messages)
        except PublishFailed as error:
            logger.warning("%d commands wait for the due loop: %s", len(messages), error)
        except Exception:  # the caller's work is committed: nothing that happens here is to look like its failure
            logger.exception("%d commands wait for the due loop", len(messages))

    def _rolled_back(self, session: Session, ended: SessionTransaction) -> None:
        pending = session.info.get(_PENDING, [])
        session.info[_PENDING] = [entry for entry in pending if not _within(entry[0], ended)]


def _within(transaction: SessionTransaction | None, ended: SessionTransaction | None) -> bool:
    while transaction is not None:
        if transaction is ended:
            return True
        transaction = transaction.parent
    return False
