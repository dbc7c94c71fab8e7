"""What an event makes of the sagas of one process manager: found, locked, loaded and written all at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from typing import Any

from sqlalchemy import Connection

from sagas_framework.engine.state import SagaState
from sagas_framework.errors import DefinitionError
from sagas_framework.events.consumer import Consumption, Occurrence
from sagas_framework.events.marks import Binding
from sagas_framework.events.outbound import Outbound
from sagas_framework.process_managers.description import Description, Handling
from sagas_framework.process_managers.hand import SagaInHand
from sagas_framework.process_managers.keys import key_text
from sagas_framework.storage import instances, processes
from sagas_framework.storage.database import LentSession
from sagas_framework.storage.instances import StoredInstance
from sagas_framework.storage.processes import EXISTS, Found, Key, Owner, ProcessRows
from sagas_framework.vocabulary.command import AnyCommand
from sagas_framework.vocabulary.event import AnyEvent
from sagas_framework.vocabulary.identity import new_saga_id


class ProcessManagerConsumer:
    """A process manager as the consumer of a subscriber, to which its sagas belong."""

    def __init__(self, description: Description, subscriber: str) -> None:
        self.description = description
        self.subscriber = subscriber

    @cached_property
    def events(self) -> Mapping[str, AnyEvent]:
        return {name: handling.event for name, handling in self.description.handlings.items()}

    @cached_property
    def commands(self) -> Sequence[AnyCommand]:
        return tuple(self.description.commands.values())

    @cached_property
    def publishes(self) -> Sequence[AnyEvent]:
        return tuple(self.description.publishes.values())

    def begin(self, connection: Connection, session: LentSession, outbound: Outbound, now: float) -> Consumption:
        return _Consumption(self, connection, outbound, now)


class _Consumption:
    def __init__(
        self, consumer: ProcessManagerConsumer, connection: Connection, outbound: Outbound, now: float
    ) -> None:
        self._description = consumer.description
        self._owner = Owner(consumer.subscriber, consumer.description.name)
        self._connection = connection
        self._outbound = outbound
        self._now = now
        self._sagas: dict[str, SagaInHand] = {}
        self._looked_at: set[str] = set()
        self._found_by: defaultdict[Key, dict[str, SagaInHand]] = defaultdict(dict)

    def prepare(self, occurrences: Sequence[Occurrence]) -> None:
        bound = [
            (binding, _key_looked_for(binding, one))
            for one in occurrences
            for binding in self._handling(one).bindings
            if binding.starts != "always"
        ]
        # First of all: who is held back here must then find what the other one has started.
        starting = {key for binding, key in bound if key is not None and binding.starts == "if_none"}
        processes.hold_back_others(self._connection, self._owner, starting)
        wanted = {key for _, key in bound if key is not None}
        while not self._load(processes.find(self._connection, self._owner, wanted)):
            pass

    def _load(self, found: Collection[Found]) -> bool:
        """False: until they were locked, another transaction took a key from one of them, or ended it. It may have
        given the key to another one, which is to be found then. (Its lock comes out of order: a ring of those that
        wait for each other is bad weather.)"""
        ids = {one.saga_id for one in found} - self._looked_at
        if not ids:
            return True
        self._looked_at |= ids
        locked = [row for row in instances.lock(self._connection, ids) if not SagaState.from_json(row.state).ended]
        keys = processes.keys_of(self._connection, [row.id for row in locked])
        event_sourced = self._description.snapshot_every is not None
        versions = {row.id: self._version_of(row) for row in locked} if event_sourced else {}
        streams = processes.own_events_after(self._connection, versions) if versions else {}
        for row in locked:
            saga = self._in_hand(row.id, stored=row.data, keys=keys.get(row.id, ()), stream=streams.get(row.id, ()))
            self._index(saga, frozenset())
        return all(one.key in keys.get(one.saga_id, ()) for one in found if one.saga_id in ids)

    def _version_of(self, row: StoredInstance) -> int:
        version = row.data.get("version")
        if not isinstance(version, int):
            raise DefinitionError(
                f"saga {row.id} has kept its state as it is, and not as what it has recorded: a ProcessManager cannot "
                "become an EventSourcedProcessManager under the same name while such sagas run; give it another name",
                saga=self._description.name,
            )
        return version

    def handle(self, occurrence: Occurrence) -> None:
        handling = self._handling(occurrence)
        found: dict[str, SagaInHand] = {}
        for binding in handling.bindings:
            key = _key_looked_for(binding, occurrence)
            if binding.starts != "always" and key is not None:
                found |= self._found_by.get(key, {})
        starts = {binding.starts for binding in handling.bindings}
        sagas = [saga for _, saga in sorted(found.items())]
        if "always" in starts or ("if_none" in starts and not sagas):
            sagas.append(self._in_hand(new_saga_id()))
        for saga in sagas:
            before = saga.found_by if saga.id in found else frozenset()
            # A copy for each: what one of them keeps and changes must not be another one's.
            saga.handle(occurrence, handling.method, deepcopy(occurrence.payload))
            self._index(saga, before)

    def write(self) -> None:
        rows = ProcessRows()
        for saga in self._sagas.values():
            saga.add_to(rows)
        processes.write(self._connection, self._owner, rows, self._now)

    def _handling(self, occurrence: Occurrence) -> Handling:
        return self._description.handlings[occurrence.event.name]

    def _in_hand(self, saga_id: str, **stored: Any) -> SagaInHand:
        saga = SagaInHand(self._description, self._owner.owner, saga_id, self._outbound, self._now, **stored)
        self._sagas[saga_id] = saga
        return saga

    def _index(self, saga: SagaInHand, before: frozenset[Key]) -> None:
        for key in before - saga.found_by:
            del self._found_by[key][saga.id]
        for key in saga.found_by - before:
            self._found_by[key][saga.id] = saga


def _key_looked_for(binding: Binding, occurrence: Occurrence) -> Key | None:
    """None: the event says nothing that a saga could have as its key."""
    if binding.saga_key is None or binding.event_key is None:
        return EXISTS
    value = key_text(getattr(occurrence.payload, binding.event_key))
    return None if value is None else Key(binding.saga_key, value)
