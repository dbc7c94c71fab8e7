"""Starting a saga inside somebody's transaction, and sending its first commands once that has committed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session, scoped_session

from sagas_framework.definition.graph import Definition
from sagas_framework.delivery.after_commit import AfterCommit, Pending, refuse_two_phases
from sagas_framework.engine.protocol import Start
from sagas_framework.engine.state import SagaState
from sagas_framework.events.publishing import Announce
from sagas_framework.orchestrator.chain import Care, Chain
from sagas_framework.orchestrator.instance import Instance, Work
from sagas_framework.storage import instances, outbox
from sagas_framework.storage.database import lent_savepoint
from sagas_framework.transport.wire import OutgoingMessage
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.identity import new_saga_id


def start(
    definition: Definition,
    orchestrator: str,
    data: Any,
    session: Session | scoped_session[Any],
    idempotency_key: str | None,
    starts: Starts,
    announce: Announce | None = None,
) -> tuple[str, bool]:
    """The saga's id, and whether this call has started it."""
    session = session() if isinstance(session, scoped_session) else session  # the one of this thread, web request, ...
    refuse_two_phases(session)
    new = NewSaga(definition, orchestrator, data, time.time(), idempotency_key)
    # In a savepoint: the caller may catch what a step raises and commit the rest; no half of a saga must be in it.
    with lent_savepoint(session) as lent:
        # The key is taken before any step runs: a repeated start must have no effects, and must not raise.
        if idempotency_key is not None and not new.insert(lent.connection()):
            return _started_before(lent.connection(), orchestrator, definition.name, idempotency_key), False
        started = new.begin(lent, announce)
    starts.add(session, started)
    return new.id, True


def _started_before(connection: Connection, orchestrator: str, saga: str, idempotency_key: str) -> str:
    known = instances.id_of_key(connection, orchestrator, saga, idempotency_key)
    if known is None:
        raise LookupError(f"the saga with idempotency key {idempotency_key!r} is not visible in this snapshot")
    return known


class NewSaga:
    """One that is about to begin, in a session that is lent."""

    def __init__(
        self, definition: Definition, orchestrator: str, data: Any, now: float, idempotency_key: str | None = None
    ) -> None:
        encoded = codec.encode(definition.data_type, data, f"data of {definition.name}")
        self._instance = Instance(definition, new_saga_id(), SagaState(), encoded)
        self._orchestrator = orchestrator
        self._now = now
        self._columns = {
            "orchestrator": orchestrator,
            "saga": definition.name,
            "idempotency_key": idempotency_key,
            "created_at": now,
        }

    @property
    def id(self) -> str:
        return self._instance.id

    def insert(self, connection: Connection) -> bool:
        """Takes its idempotency key; False: another one has it."""
        inserted = instances.insert_with_key(connection, self._row() | self._columns)
        self._columns = {}
        return inserted

    def begin(self, session: Session, announce: Announce | None, because_of: dict[str, Any] | None = None) -> Started:
        """Runs its leading local steps; what they raise comes out. `because_of`: what its history says of its start."""
        chain = Chain(self._orchestrator, self._instance, session, Care.CALLER, announce)
        chain.run(Start(self._now))
        if because_of is not None:
            history = chain.work.history
            history[0] = replace(history[0], detail=because_of)  # of the engine's, it has none
        return Started(chain.work.outgoing, self._row() | self._columns, chain.work, self._now)

    def _row(self) -> dict[str, Any]:
        return self._instance.row(self._now, woken=True)


@dataclass
class Started(Pending):
    """A saga that is not committed yet. `row` is what is still to be written of it."""

    row: dict[str, Any]
    work: Work
    now: float


def write_started(connection: Connection, items: Sequence[Started]) -> None:
    """All of a transaction's, with one statement for each table."""
    instances.write(
        connection,
        [started.row for started in items if "orchestrator" not in started.row],
        [line for started in items for line in started.work.history],
        new=[started.row for started in items if "orchestrator" in started.row],
    )
    for started in items:
        messages = [outbox.fire_and_forget(vars(message), started.now) for message in started.work.outbox]
        outbox.add(connection, messages, started.now)


class Starts(AfterCommit[Started]):
    """The sagas that sessions have started: all of a transaction's are written as its very last statements, and their
    commands are published just after it; in the end the due loop sends them."""

    def write(self, connection: Connection, items: Sequence[Started]) -> Sequence[OutgoingMessage]:
        write_started(connection, items)
        return super().write(connection, items)
