"""One saga instance while a transaction works on it, and what that transaction is going to write and send."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sagas_framework.definition.graph import Definition
from sagas_framework.delivery.kept import kept_of
from sagas_framework.engine.clock import next_due
from sagas_framework.engine.protocol import Input
from sagas_framework.engine.state import SagaState
from sagas_framework.storage.instances import HistoryRow, StoredInstance
from sagas_framework.storage.keeping import Kept
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.wire import OutgoingMessage
from sagas_framework.vocabulary import codec

_ROUNDING_SECONDS = 0.001  # a database keeps microseconds: the same time read back is not earlier


@dataclass
class Work:
    """Everything one transaction has gathered; written together, sent after the commit."""

    history: list[HistoryRow] = field(default_factory=list)
    outgoing: list[OutgoingMessage] = field(default_factory=list)
    asked_again: dict[str, set[str]] = field(default_factory=dict)  # saga id -> message ids
    outbox: list[OutgoingMessage] = field(default_factory=list)  # left to the relay
    kept: list[Kept] = field(default_factory=list)
    sources: list[tuple[str, Delivery]] = field(
        default_factory=list
    )  # ids of messages, and the replies that caused them
    locked: list[Delivery] = field(default_factory=list)  # replies to sagas that somebody else holds

    def include(self, other: Work) -> None:
        for name in ("history", "outgoing", "outbox", "kept", "sources", "locked"):
            getattr(self, name).extend(getattr(other, name))
        for saga_id, ids in other.asked_again.items():
            self.asked_again.setdefault(saga_id, set()).update(ids)


@dataclass(frozen=True)
class Arrival:
    """An input for one saga and, when a message brought it, that message. `ids`: the instances that it may be about."""

    saga_id: str
    entry: Input
    delivery: Delivery | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        return (self.saga_id,)

    def kept(self, reason: str) -> Kept | None:
        return None if self.delivery is None else kept_of(self.delivery, reason, self.saga_id)


class Instance:
    """`data` is the application's typed object; it is decoded when first needed and encoded when written."""

    def __init__(
        self, definition: Definition, saga_id: str, state: SagaState, encoded_data: Any, wake_at: float | None = None
    ) -> None:
        self.id = saga_id
        self.definition = definition
        self.state = state
        self.stale_replies = 0
        self.changed = False
        self.is_new = False
        self._wake_at = wake_at
        self._encoded_data = encoded_data
        self._data: Any = None
        self._lent = False

    @classmethod
    def of(cls, definition: Definition, stored: StoredInstance) -> Instance:
        return cls(definition, stored.id, SagaState.from_json(stored.state), stored.data, stored.wake_at)

    @classmethod
    def new(cls, definition: Definition, saga_id: str, encoded_data: Any) -> Instance:
        instance = cls(definition, saga_id, SagaState(), encoded_data)
        instance.is_new = True
        return instance

    def lend_data(self) -> Any:
        """For user code, which may change them."""
        if self._data is None:
            self._data = codec.decode(self.definition.data_type, self._encoded_data, f"data of saga {self.id}")
        self._lent = True
        return self._data

    def replace_data(self, data: Any) -> None:
        """User code has returned new ones."""
        self._data, self._lent = data, True

    def encoded_data(self) -> Any:
        """The data as JSON, checked; what user code has put there by now."""
        if self._lent:
            self._encoded_data = codec.encode(self.definition.data_type, self._data, f"data of saga {self.id}")
            self._lent = False
        return self._encoded_data

    def reset_data(self, encoded: Any) -> None:
        """Back to what it was before user code raised half-way."""
        self._encoded_data, self._data, self._lent = encoded, None, False

    def row(self, now: float, woken: bool) -> dict[str, Any]:
        """What is written back.

        A due time that merely moves later is left alone, so that the hot path does not touch its index; the row
        that wakes early is looked at and put back (`woken`).
        """
        state = self.state
        row: dict[str, Any] = {
            "id": self.id,
            "data": self.encoded_data(),
            "state": state.to_json(),
            "status": state.status.value,
            "paused": state.paused,
            "current_step": state.current_step,
            "failed_step": state.failed_step,
            "failed_at": state.failed_at,
            "failure_details": state.failure.to_json() if state.failure else None,
            "last_message_id": state.last_message_id,
            "stale_replies": self.stale_replies,
            "updated_at": now,
            "ended_at": now if state.ended else None,
        }
        if self.is_new:
            row |= {"saga": self.definition.name, "idempotency_key": None, "created_at": now}
        due = next_due(self.definition, state)
        earlier = due is not None and (self._wake_at is None or due < self._wake_at - _ROUNDING_SECONDS)
        if woken or self.is_new or earlier or (due is None and self._wake_at is not None):
            row["wake_at"] = due
        return row
