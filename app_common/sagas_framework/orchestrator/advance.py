"""One transaction for everything that a batch brings: lock, apply, write, commit. Publishing comes after.

The first try runs without savepoints. If anything raises, the same batch runs once more with a savepoint round each
arrival and each call of user code, and still one commit: ordinary refusals cost no storm of single commits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from sagas_framework.definition.graph import Definition
from sagas_framework.definition.steps import AsyncStep
from sagas_framework.engine.protocol import Input, Reply, Signal, Tick
from sagas_framework.engine.state import Phase
from sagas_framework.errors import OperationRefused, PayloadRefused, UnknownSaga
from sagas_framework.events.publishing import Announce
from sagas_framework.orchestrator.chain import Care, CareNeeded, Chain
from sagas_framework.orchestrator.children import Summoning, child_tasks
from sagas_framework.orchestrator.instance import Arrival, Instance, Work
from sagas_framework.storage import instances, keeping, outbox
from sagas_framework.storage.database import LentSession, lent_session
from sagas_framework.storage.instances import HistoryRow, StoredInstance
from sagas_framework.storage.keeping import Kept
from sagas_framework.storage.weather import is_bad_weather
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.command import Failure

logger = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 60.0
"""When a saga that the due loop could not advance (its data no longer decode, say) is looked at again."""


@dataclass(frozen=True)
class Loaded:
    stored: Sequence[StoredInstance]
    arrivals: Sequence[Arrival]
    locked: frozenset[str] = frozenset()


class Advancer:
    def __init__(
        self,
        orchestrator: str,
        engine: Engine,
        definitions: Mapping[str, Definition],
        announce: Announce | None = None,
    ) -> None:
        self._orchestrator = orchestrator
        self._engine = engine
        self._definitions = definitions
        self.announce = announce

    def arrivals(
        self, arrivals: Sequence[Arrival], already_kept: Sequence[Kept], now: float, *, skip_locked: bool = False
    ) -> Work:
        """Applies what has arrived, in its order. `skip_locked` passes over sagas that somebody else holds."""
        saga_ids = {id_ for arrival in arrivals for id_ in arrival.ids}

        def load(connection: Connection) -> Loaded:
            stored = instances.lock(connection, saga_ids, skip_locked=skip_locked)
            missing = saga_ids - {row.id for row in stored}
            locked = instances.existing(connection, missing) if skip_locked and missing else ()
            return Loaded(stored, arrivals, frozenset(locked))

        return self._carefully_if_need_be(load, already_kept, now, woken=False)

    def due(self, now: float, limit: int, crowded: frozenset[str] = frozenset()) -> Work:
        """Claims what is due and lets each look at the clock. What went into a crowded queue is not asked again."""

        def load(connection: Connection) -> Loaded:
            stored = instances.claim_due(connection, self._orchestrator, self._definitions, now, limit)
            return Loaded(stored, [Arrival(row.id, Tick(now, crowded)) for row in stored])

        return self._carefully_if_need_be(load, (), now, woken=True)

    def _carefully_if_need_be(
        self, load: Callable[[Connection], Loaded], already_kept: Sequence[Kept], now: float, *, woken: bool
    ) -> Work:
        try:
            return self._transaction(load, already_kept, now, woken, Care.FAST)
        except Exception as error:
            if is_bad_weather(error) or isinstance(error, (OperationRefused, PayloadRefused, UnknownSaga)):
                raise
            if not isinstance(error, CareNeeded):
                logger.warning("a batch is run again with savepoints: %r", error)
        return self._transaction(load, already_kept, now, woken, Care.SAVEPOINTS)

    def _transaction(
        self, load: Callable[[Connection], Loaded], already_kept: Sequence[Kept], now: float, woken: bool, care: Care
    ) -> Work:
        with self._engine.begin() as connection, lent_session(connection) as session:
            batch = _Batch(self, connection, session, now, woken)
            work = batch.run(load(connection), care)
            keeping.keep(connection, [*already_kept, *work.kept], now)
            outbox.add(connection, [outbox.fire_and_forget(vars(message), now) for message in work.outbox], now)
        return work

    def definition_of(self, saga: str) -> Definition:
        definition = self._definitions.get(saga)
        if definition is None:
            raise LookupError(f"this process does not know the saga {saga!r} that the instance belongs to")
        return definition

    @property
    def sagas(self) -> list[str]:
        return list(self._definitions)

    @cached_property
    def queues(self) -> frozenset[str]:
        """Every queue that its sagas' commands and replies travel through."""
        return frozenset(queue for definition in self._definitions.values() for queue in definition.queues)

    @cached_property
    def child_tasks(self) -> Mapping[str, str]:
        """The tasks by which its sagas that are others' steps are asked for, and the saga that each is about."""
        return child_tasks(self._definitions)

    @property
    def orchestrator(self) -> str:
        return self._orchestrator


class _Batch:
    """The arrivals of one transaction."""

    def __init__(
        self, advancer: Advancer, connection: Connection, session: LentSession, now: float, woken: bool
    ) -> None:
        self._advancer = advancer
        self._connection = connection
        self._session = session
        self._now = now
        self._woken = woken

    def run(self, loaded: Loaded, care: Care) -> Work:
        work = Work()
        stored = {row.id: row for row in loaded.stored}
        open_instances: dict[str, Instance] = {}
        for arrival in loaded.arrivals:
            delivery = arrival.delivery
            if delivery is not None and not loaded.locked.isdisjoint(arrival.ids):
                work.locked.append(delivery)
                continue
            if care is Care.FAST:
                part = self._apply(arrival, stored, open_instances, care)
            else:
                part = self._apply_alone(arrival, stored)
            if delivery is not None:
                part.sources += [(message.id, delivery) for message in part.outgoing]
            work.include(part)
        self._session.flush()
        if care is Care.FAST:
            self._write(open_instances.values(), work.history)
        return work

    def _apply(
        self, arrival: Arrival, stored: Mapping[str, StoredInstance], opened: dict[str, Instance], care: Care
    ) -> Work:
        instance = self._instance(arrival, stored, opened)
        if instance is None:
            if arrival.delivery is None:
                raise UnknownSaga(arrival.saga_id)
            return _only_kept(arrival, "no saga has this id")
        _refuse_bad_signal(instance, arrival.entry)
        problem = _problem_with_payload(instance, arrival.entry)
        if problem is not None:
            return _only_kept(arrival, problem)
        chain = Chain(self._advancer.orchestrator, instance, self._session, care, self._advancer.announce)
        chain.run(arrival.entry)
        opened[instance.id] = instance
        if chain.refused is not None:
            raise OperationRefused(arrival.saga_id, type(arrival.entry).__name__.lower(), chain.refused.reason)
        if chain.foreign is not None:
            return _only_kept(arrival, chain.foreign.reason)
        return chain.work

    def _instance(
        self, arrival: Arrival, stored: Mapping[str, StoredInstance], opened: dict[str, Instance]
    ) -> Instance | None:
        for id_ in arrival.ids:
            if id_ in stored and id_ not in opened:
                opened[id_] = Instance.of(self._advancer.definition_of(stored[id_].saga), stored[id_])
        if isinstance(arrival, Summoning):
            return arrival.instance_of(opened, self._advancer.definition_of(arrival.saga))
        return opened.get(arrival.saga_id)

    def _apply_alone(self, arrival: Arrival, stored: dict[str, StoredInstance]) -> Work:
        """In a savepoint of its own, written at once: what fails here fails alone, and is kept for the operator."""
        opened: dict[str, Instance] = {}
        try:
            with self._session.begin_nested():
                self._session.connection()  # the savepoint is there only now, and what is written goes past the session
                work = self._apply(arrival, stored, opened, Care.SAVEPOINTS)
                self._write(opened.values(), work.history)
        except Exception as error:
            if isinstance(error, IntegrityError) and self._has_come_to_be(arrival, stored):
                return self._apply_alone(arrival, stored)
            if is_bad_weather(error) or (arrival.delivery is None and not isinstance(arrival.entry, Tick)):
                raise
            logger.exception("saga %s: %s could not be applied", arrival.saga_id, type(arrival.entry).__name__)
            return self._set_aside(arrival, error)
        for row in instances.lock(self._connection, opened):  # a later arrival of this batch builds on what is written
            stored[row.id] = row
        return work

    def _has_come_to_be(self, arrival: Arrival, stored: dict[str, StoredInstance]) -> bool:
        """Another worker was faster to make the same child: that one is meant."""
        if not isinstance(arrival, Summoning):
            return False
        known = len(stored)
        stored |= {row.id: row for row in instances.lock(self._connection, arrival.ids)}
        return len(stored) > known

    def _set_aside(self, arrival: Arrival, error: Exception) -> Work:
        if isinstance(arrival.entry, Tick):
            instances.postpone(self._connection, arrival.saga_id, self._now + LOOK_AGAIN_SECONDS)
            return Work()
        return _only_kept(arrival, f"the orchestrator failed on it: {Failure.of(error).traceback}")

    def _write(self, opened: Iterable[Instance], told: Sequence[HistoryRow]) -> None:
        rows, new, stale = [], [], []
        for instance in opened:
            if instance.is_new:
                new.append(instance.row(self._now, woken=True) | {"orchestrator": self._advancer.orchestrator})
            elif self._woken or instance.changed:
                rows.append(instance.row(self._now, self._woken))
            elif instance.stale_replies:
                stale.append((instance.id, instance.stale_replies))
        instances.write(self._connection, rows, told, new)
        instances.count_stale_replies(self._connection, stale)


def _only_kept(arrival: Arrival, reason: str) -> Work:
    kept = arrival.kept(reason)
    return Work(kept=[] if kept is None else [kept])


def _refuse_bad_signal(instance: Instance, entry: Input) -> None:
    """What a signal carries is checked before it can change anything; its sender gets PayloadRefused."""
    if isinstance(entry, Signal) and entry.name in instance.definition.signals:
        codec.decode(instance.definition.signals[entry.name].payload, entry.payload, f"signal {entry.name}")


def _problem_with_payload(instance: Instance, entry: Input) -> str | None:
    """A success whose payload is not what its command declares is refused before it can change anything."""
    if not isinstance(entry, Reply) or not entry.succeeded:
        return None
    for name, state in instance.state.steps.items():
        if state.phase is not Phase.ACTING or not state.awaited or state.awaited.message_id != entry.in_reply_to:
            continue
        node = instance.definition.nodes.get(name)  # None: the saga has no such step any more, as the engine will say
        if node is not None and isinstance(node.step, AsyncStep):
            try:
                node.step.command.decode_response(entry.payload)
            except PayloadRefused as refused:
                return str(refused)
    return None
