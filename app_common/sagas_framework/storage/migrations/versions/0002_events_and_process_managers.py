"""Events and process managers"""

from typing import Literal

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_DUE = sa.text("due_at IS NOT NULL")
_WAKES = sa.text("wake_at IS NOT NULL")


def upgrade() -> None:
    # SQLite has to write the table anew, so that an operator's number never comes to mean another message.
    anew: Literal["always", "never"] = "always" if op.get_context().dialect.name == "sqlite" else "never"
    numbered = {"sqlite_autoincrement": True}
    with op.batch_alter_table("saga_outbox", schema=None, recreate=anew, table_kwargs=numbered) as batch_op:
        batch_op.add_column(sa.Column("message_id", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("awaited", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(
            sa.Column("due_at", sa.DateTime(timezone=True), nullable=True, server_default=sa.func.now())
        )
        batch_op.add_column(sa.Column("times", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("problem", sa.Text(), nullable=True))
        batch_op.create_index(
            "ix_saga_outbox_due_at", ["due_at", "id"], unique=False, postgresql_where=_DUE, sqlite_where=_DUE
        )
        batch_op.create_index("ix_saga_outbox_message_id", ["message_id"], unique=False)
    op.execute("UPDATE saga_outbox SET due_at = created_at")

    op.create_table(
        "saga_event_number",
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("subscriber", sa.String(length=255), nullable=False),
        sa.Column("aggregate", sa.String(length=200), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "subscriber", "aggregate"),
    )
    op.create_table(
        "saga_event_stream",
        sa.Column("subscriber", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("aggregate", sa.String(length=200), nullable=False),
        sa.Column("handled", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.Boolean(), nullable=False),
        sa.Column("recent", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("subscriber", "source", "aggregate"),
    )
    op.create_table(
        "saga_event_inbox",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("subscriber", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("aggregate", sa.String(length=200), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.String(length=255), nullable=False),
        sa.Column("message_id", sa.String(length=255), nullable=False),
        sa.Column("payload", _JSON, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("begun", sa.Integer(), nullable=False),
        sa.Column("failure", _JSON, nullable=True),
        sa.Column("parked", sa.Boolean(), nullable=False),
        sa.Column("wake_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("subscriber", "source", "aggregate", "number", name="uq_saga_event_inbox_number"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("saga_event_inbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_saga_event_inbox_wake_at",
            ["subscriber", "wake_at"],
            unique=False,
            postgresql_where=_WAKES,
            sqlite_where=_WAKES,
        )
    op.create_table(
        "saga_process_key",
        sa.Column("owner", sa.String(length=120), nullable=False),
        sa.Column("manager", sa.String(length=120), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.Column("saga_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.PrimaryKeyConstraint("owner", "manager", "name", "value", "saga_id"),
    )
    with op.batch_alter_table("saga_process_key", schema=None) as batch_op:
        batch_op.create_index("ix_saga_process_key_saga_id", ["saga_id"], unique=False)
    op.create_table(
        "saga_process_event",
        sa.Column("saga_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=255), nullable=False),
        sa.Column("payload", _JSON, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("saga_id", "version"),
    )
