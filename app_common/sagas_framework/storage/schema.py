"""The framework's tables. Every service's database has them all; a participant leaves the sagas' ones empty."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    false,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()

UNFINISHED = ("running", "compensating", "needs_attention")


class Moment(TypeDecorator[float]):
    """Seconds since the epoch in Python, a readable timestamp in the database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value, UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> float | None:
        if value is None:
            return None
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def _json(*, none_as_null: bool = True) -> Any:
    return JSON(none_as_null=none_as_null).with_variant(JSONB(none_as_null=none_as_null), "postgresql")


def _serial() -> Any:
    return BigInteger().with_variant(Integer, "sqlite")


instances = Table(
    "saga_instance",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("orchestrator", String(120), nullable=False),
    Column("saga", String(120), nullable=False),
    Column("status", String(20), nullable=False),
    Column("paused", Boolean, nullable=False, default=False),
    Column("current_step", String(120)),
    Column("failed_step", String(120)),
    Column("failed_at", Moment),
    Column("failure_details", _json()),
    Column("last_message_id", String(255)),
    Column("idempotency_key", String(255)),
    Column("data", _json(), nullable=False),
    Column("state", _json(), nullable=False),
    Column("stale_replies", Integer, nullable=False, default=0),
    Column("wake_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("ended_at", Moment),
    UniqueConstraint("orchestrator", "saga", "idempotency_key", name="uq_saga_instance_idempotency_key"),
)
# Both indexes are partial, so that a million finished sagas weigh nothing: neither the due loop nor the list of
# unfinished sagas ever meets them.
Index("ix_saga_instance_wake_at", instances.c.orchestrator, instances.c.wake_at,
      postgresql_where=instances.c.wake_at.isnot(None), sqlite_where=instances.c.wake_at.isnot(None))  # fmt: skip
Index("ix_saga_instance_unfinished", instances.c.status, instances.c.id,
      postgresql_where=instances.c.status.in_(UNFINISHED), sqlite_where=instances.c.status.in_(UNFINISHED))  # fmt: skip

history = Table(
    "saga_history",
    metadata,
    Column("id", _serial(), primary_key=True, autoincrement=True),
    Column("saga_id", Uuid(as_uuid=False), nullable=False),
    Column("at", Moment, nullable=False),
    Column("event", String(40), nullable=False),
    Column("step", String(120)),
    Column("attempt", Integer),
    Column("detail", _json()),
)
Index("ix_saga_history_saga_id", history.c.saga_id, history.c.id)

participant_memory = Table(
    "saga_participant_memory",
    metadata,
    Column("orchestrator", String(120), primary_key=True),
    Column("saga_id", String(120), primary_key=True),
    Column("step", String(255), primary_key=True),
    Column("attempt", Integer, nullable=False, default=0),
    Column("outcome", String(20)),  # succeeded | failed | deferred, of the action
    Column("reply", _json()),  # while it is deferred: what the answer needs to find its way
    Column("failure", _json()),
    Column(
        "transient", Boolean, nullable=False, default=False
    ),  # only read, of failures that do not say their kind yet
    Column("undo_attempt", Integer, nullable=False, default=0),
    Column("undo_outcome", String(20)),  # succeeded | failed | unneeded, of the compensation
    Column("undo_reply", _json()),
    Column("undo_failure", _json()),
    Column("undo_transient", Boolean, nullable=False, default=False),  # likewise
    Column("parked", String(20)),  # action | compensation: that command waits with the operator
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

outbox = Table(
    "saga_outbox",
    metadata,
    Column("id", _serial(), primary_key=True, autoincrement=True),
    Column("queue", String(255), nullable=False),
    Column("message", _json(), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("message_id", String(255)),  # by which it is found again when somebody says that it has arrived
    Column("awaited", Boolean, nullable=False, server_default=false()),  # else it goes once the broker has taken it
    # When it is sent (again); none: it waits for the operator. A worker of the release before says nothing of it.
    Column("due_at", Moment, server_default=func.now()),
    Column("times", Integer, nullable=False, server_default="0"),  # how often it was its turn to be sent
    Column("problem", Text),  # why it waits for the operator
    sqlite_autoincrement=True,  # an operator's number never comes to mean another message
)
Index("ix_saga_outbox_due_at", outbox.c.due_at, outbox.c.id,
      postgresql_where=outbox.c.due_at.isnot(None), sqlite_where=outbox.c.due_at.isnot(None))  # fmt: skip
Index("ix_saga_outbox_message_id", outbox.c.message_id)

# ---- events: what the publisher counts, and what the subscriber has of each aggregate ----

event_numbers = Table(
    "saga_event_number",
    metadata,
    Column("source", String(100), primary_key=True),
    Column("subscriber", String(255), primary_key=True),
    Column("aggregate", String(200), primary_key=True),
    Column("last", BigInteger, nullable=False),
)

event_streams = Table(
    "saga_event_stream",
    metadata,
    Column("subscriber", String(255), primary_key=True),
    Column("source", String(100), primary_key=True),
    Column("aggregate", String(200), primary_key=True),
    Column("handled", BigInteger, nullable=False),  # the number of the last event that was handled
    Column("stored", Boolean, nullable=False),  # whether any of its events are in the inbox
    Column("recent", String(128), nullable=False),  # of the last few handled, how their message ids begin
)

event_inbox = Table(
    "saga_event_inbox",
    metadata,
    Column("id", _serial(), primary_key=True, autoincrement=True),
    Column("subscriber", String(255), nullable=False),
    Column("source", String(100), nullable=False),
    Column("aggregate", String(200), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("event", String(255), nullable=False),
    Column("message_id", String(255), nullable=False),
    Column("payload", _json(none_as_null=False), nullable=False),  # whatever came, null as well
    Column("attempts", Integer, nullable=False),
    Column("begun", Integer, nullable=False),  # how often it was taken up again and came to no end
    Column("failure", _json()),
    Column("parked", Boolean, nullable=False),  # it waits for the operator
    Column("wake_at", Moment),  # when it is tried (again); none: it waits for another one, or for the operator
    Column("received_at", Moment, nullable=False),
    UniqueConstraint("subscriber", "source", "aggregate", "number", name="uq_saga_event_inbox_number"),
    sqlite_autoincrement=True,  # an operator's number never comes to mean another event
)
Index("ix_saga_event_inbox_wake_at", event_inbox.c.subscriber, event_inbox.c.wake_at,
      postgresql_where=event_inbox.c.wake_at.isnot(None), sqlite_where=event_inbox.c.wake_at.isnot(None))  # fmt: skip

# ---- process managers: an instance is a row of saga_instance; here is how events find it, and what it is made of ----

process_keys = Table(
    "saga_process_key",
    metadata,
    Column("owner", String(120), primary_key=True),
    Column("manager", String(120), primary_key=True),
    Column("name", String(120), primary_key=True),  # empty: every instance that has not ended
    Column("value", String(255), primary_key=True),
    Column("saga_id", Uuid(as_uuid=False), primary_key=True),
)
Index("ix_saga_process_key_saga_id", process_keys.c.saga_id)

process_events = Table(
    "saga_process_event",
    metadata,
    Column("saga_id", Uuid(as_uuid=False), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("event", String(255), nullable=False),
    Column("payload", _json(), nullable=False),
    Column("at", Moment, nullable=False),
)

kept_messages = Table(
    "saga_kept_message",
    metadata,
    Column("id", _serial(), primary_key=True, autoincrement=True),
    Column("fingerprint", String(64), nullable=False, unique=True),
    Column("reason", Text, nullable=False),
    Column("task", String(255)),
    Column("queue", String(255)),
    Column("message_id", String(255)),
    Column("saga_id", String(255)),
    Column("headers", _json()),
    Column("body", Text),
    Column("content_type", String(255)),
    Column("complete", Boolean, nullable=False, server_default=false()),  # only then can it be sent again
    Column("times", Integer, nullable=False, default=1),
    Column("first_kept_at", Moment, nullable=False),
    Column("last_kept_at", Moment, nullable=False),
    sqlite_autoincrement=True,  # an operator's number never comes to mean another message
)

deliveries = Table(
    "saga_delivery",
    metadata,
    Column("message_id", String(255), primary_key=True),
    Column("begun", Integer, nullable=False),
    Column("last_at", Moment, nullable=False),
)
