"""The framework's first tables"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "saga_delivery",
        sa.Column("message_id", sa.String(length=255), nullable=False),
        sa.Column("begun", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_table(
        "saga_history",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("saga_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("step", sa.String(length=120), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("detail", _JSON, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("saga_history", schema=None) as batch_op:
        batch_op.create_index("ix_saga_history_saga_id", ["saga_id", "id"], unique=False)

    op.create_table(
        "saga_instance",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("orchestrator", sa.String(length=120), nullable=False),
        sa.Column("saga", sa.String(length=120), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("current_step", sa.String(length=120), nullable=True),
        sa.Column("failed_step", sa.String(length=120), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure_details", _JSON, nullable=True),
        sa.Column("last_message_id", sa.String(length=255), nullable=True),
        sa.Column("idempotency_key", sa.String(length=255), nullable=True),
        sa.Column("data", _JSON, nullable=False),
        sa.Column("state", _JSON, nullable=False),
        sa.Column("stale_replies", sa.Integer(), nullable=False),
        sa.Column("wake_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("orchestrator", "saga", "idempotency_key", name="uq_saga_instance_idempotency_key"),
    )
    with op.batch_alter_table("saga_instance", schema=None) as batch_op:
        batch_op.create_index(
            "ix_saga_instance_unfinished",
            ["status", "id"],
            unique=False,
            postgresql_where=sa.text("status IN ('running', 'compensating', 'needs_attention')"),
            sqlite_where=sa.text("status IN ('running', 'compensating', 'needs_attention')"),
        )
        batch_op.create_index(
            "ix_saga_instance_wake_at",
            ["orchestrator", "wake_at"],
            unique=False,
            postgresql_where=sa.text("wake_at IS NOT NULL"),
            sqlite_where=sa.text("wake_at IS NOT NULL"),
        )

    op.create_table(
        "saga_kept_message",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("task", sa.String(length=255), nullable=True),
        sa.Column("queue", sa.String(length=255), nullable=True),
        sa.Column("message_id", sa.String(length=255), nullable=True),
        sa.Column("saga_id", sa.String(length=255), nullable=True),
        sa.Column("headers", _JSON, nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("content_type", sa.String(length=255), nullable=True),
        sa.Column("complete", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("first_kept_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_kept_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("fingerprint"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "saga_outbox",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("queue", sa.String(length=255), nullable=False),
        sa.Column("message", _JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "saga_participant_memory",
        sa.Column("orchestrator", sa.String(length=120), nullable=False),
        sa.Column("saga_id", sa.String(length=120), nullable=False),
        sa.Column("step", sa.String(length=255), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("reply", _JSON, nullable=True),
        sa.Column("failure", _JSON, nullable=True),
        sa.Column("transient", sa.Boolean(), nullable=False),
        sa.Column("undo_attempt", sa.Integer(), nullable=False),
        sa.Column("undo_outcome", sa.String(length=20), nullable=True),
        sa.Column("undo_reply", _JSON, nullable=True),
        sa.Column("undo_failure", _JSON, nullable=True),
        sa.Column("undo_transient", sa.Boolean(), nullable=False),
        sa.Column("parked", sa.String(length=20), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("orchestrator", "saga_id", "step"),
    )
