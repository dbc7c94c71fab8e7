"""One saga while a transaction works on it: what its methods may do, and what is written of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from sagas_framework.definition.values import MAX_SECONDS
from sagas_framework.engine.state import SagaState, SagaStatus
from sagas_framework.errors import DefinitionError
from sagas_framework.events.consumer import Occurrence
from sagas_framework.events.outbound import Outbound
from sagas_framework.process_managers.description import Description
from sagas_framework.process_managers.keys import Keys
from sagas_framework.process_managers.states import state_of
from sagas_framework.storage.instances import HistoryRow
from sagas_framework.storage.processes import EXISTS, Key, OwnEvent, ProcessRows
from sagas_framework.transport.wire import command_message
from sagas_framework.vocabulary.command import AnyCommand
from sagas_framework.vocabulary.correlation import Correlation
from sagas_framework.vocabulary.event import event_of
from sagas_framework.vocabulary.identity import Direction, message_id
from sagas_framework.vocabulary.names import answers_queue_name

_MAX_ID_IN_STEP = 100
_LONGEST_DELAY = timedelta(seconds=MAX_SECONDS)


class SagaInHand:
    """`stored` None: the saga begins. `keys`: those that its rows say it has."""

    def __init__(
        self,
        description: Description,
        subscriber: str,
        saga_id: str,
        outbound: Outbound,
        now: float,
        *,
        stored: Any = None,
        keys: Iterable[Key] = (),
        stream: Sequence[OwnEvent] = (),
    ) -> None:
        self.id = saga_id
        self.is_new = stored is None
        self.state = state_of(description, saga_id, stored, stream)
        self._keys_stored = frozenset(keys)
        self._keys = Keys(description.name, description.key_names, self._keys_stored - {EXISTS})
        self._description = description
        self._subscriber = subscriber
        self._outbound = outbound
        self._now = now
        self._ended = False
        self._occurrence: Occurrence | None = None
        self._method = ""
        self._sent = 0
        self._told: list[HistoryRow] = []

    # ---- for the transaction --------------------------------------------------------------------------------------

    @property
    def found_by(self) -> frozenset[Key]:
        """Nothing finds a saga that has ended."""
        return frozenset() if self._ended else self._keys.all() | {EXISTS}

    def handle(self, occurrence: Occurrence, method: str, event: Any) -> None:
        if self.is_new and self._occurrence is None:
            self._tell("started", **occurrence.named)
        self._occurrence, self._method, self._sent = occurrence, method, 0
        self._tell("event_handled", **occurrence.named, number=occurrence.number)
        manager = self._description.manager(self)
        self.state.open(manager)
        getattr(manager, method)(event)
        self.state.close(manager, method)
        if self._ended:
            self._tell("ended")

    def add_to(self, rows: ProcessRows) -> None:
        """Only what has handled something is written."""
        if self._occurrence is None:
            return
        row = self._row(self._occurrence)
        if self.is_new:
            fresh = {"paused": False, "wake_at": None, "created_at": self._now}
            rows.new.append(row | fresh)
        else:
            rows.changed.append(row)
        found_by = self.found_by
        rows.keys_gained += [(self.id, key) for key in sorted(found_by - self._keys_stored)]
        rows.keys_lost += [(self.id, key) for key in sorted(self._keys_stored - found_by)]
        rows.own_events += self.state.recorded
        rows.told += self._told

    def _row(self, occurrence: Occurrence) -> dict[str, Any]:
        status = SagaStatus.ENDED if self._ended else SagaStatus.RUNNING
        return {
            "id": self.id,
            "data": self.state.stored,
            "state": SagaState(status=status, last_message_id=occurrence.message_id).to_json(),
            "status": status.value,
            "last_message_id": occurrence.message_id,
            "stale_replies": 0,
            "updated_at": self._now,
            "ended_at": self._now if self._ended else None,
        }

    def _tell(self, what: str, /, **detail: Any) -> None:
        self._told.append(HistoryRow(self.id, self._now, what, self._method or None, None, detail or None))

    # ---- for its methods ------------------------------------------------------------------------------------------

    @property
    def keys(self) -> Keys:
        self._refuse_while_applying("keys")
        return self._keys

    def send(self, command: AnyCommand, payload: Any, due_at: float | None = None) -> None:
        self._refuse_while_applying("send")
        if self._description.commands.get(command.name) != command:
            known = ", ".join(sorted(self._description.commands)) or "none"
            raise DefinitionError(
                f"method {self._method!r} sends {command.name!r}, which is not among the commands that the class says "
                f"it sends ({known}); add it to `commands`",
                saga=self._description.name,
            )
        encoded = command.encode_payload(payload)
        place = Correlation(
            orchestrator=self._subscriber,
            saga=self.id,
            step=self._next_step(),
            direction=Direction.ACTION,
            attempt=1,
            reply_queue=answers_queue_name(self._subscriber),
        )
        command_id = message_id(place.orchestrator, place.saga, place.step, place.direction, place.attempt)
        self._outbound.send(command_message(command, command_id, encoded, place), due_at)
        later = {} if due_at is None else {"due_at": due_at}
        self._tell("command_sent", command=command.name, message_id=command_id, **later)

    def send_later(
        self, command: AnyCommand, payload: Any, delay: timedelta | None = None, at: datetime | None = None
    ) -> None:
        self.send(command, payload, self._due_at(delay, at))

    def publish(self, event: Any) -> None:
        self._refuse_while_applying("publish")
        declared = event_of(event)
        if self._description.publishes.get(declared.name) != declared:
            known = ", ".join(sorted(self._description.publishes)) or "none"
            raise DefinitionError(
                f"method {self._method!r} publishes {declared.name!r}, which is not among the events that the class "
                f"says it publishes ({known}); add {type(event).__name__} to `publishes`",
                saga=self._description.name,
            )
        self._outbound.publish(event)
        self._tell("event_published", event=declared.name, aggregate=declared.aggregate_of(event))

    def record(self, manager: Any, event: Any) -> None:
        self._refuse_while_applying("record")
        self.state.record(manager, event)

    def end(self) -> None:
        self._refuse_while_applying("end")
        self._ended = True

    def _next_step(self) -> str:
        """The same whenever the same event is handled again: then it is the same command, and not another one."""
        assert self._occurrence is not None
        self._sent += 1
        caused_by = self._occurrence.message_id
        if len(caused_by) > _MAX_ID_IN_STEP:
            caused_by = str(uuid5(NAMESPACE_OID, caused_by))
        return f"{self._method}.{self._sent}#{caused_by}"

    def _due_at(self, delay: timedelta | None, at: datetime | None) -> float:
        wrong = f"method {self._method!r}: send_later takes"
        name = self._description.name
        if delay is not None and at is None:
            if not timedelta(0) <= delay <= _LONGEST_DELAY:
                raise DefinitionError(f"{wrong} a delay of 0 s to {_LONGEST_DELAY.days} days, not {delay}", saga=name)
            return self._now + delay.total_seconds()
        if at is None or delay is not None:
            raise DefinitionError(f"{wrong} either a delay or a moment (at=...)", saga=name)
        if at.utcoffset() is None:
            raise DefinitionError(
                f"{wrong} a moment with its time zone, as datetime.now(UTC) has; {at} means another one everywhere",
                saga=name,
            )
        if at.timestamp() > self._now + MAX_SECONDS:
            raise DefinitionError(f"{wrong} a moment of the next hundred years, not {at}", saga=name)
        return at.timestamp()

    def _refuse_while_applying(self, what: str) -> None:
        if self.state.applying:
            raise DefinitionError(
                f"a method with @applies uses self.{what}; it runs whenever the state is made again, and does nothing "
                "but change self.state",
                saga=self._description.name,
            )
