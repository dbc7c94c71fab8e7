"""Kept messages say whether they are whole, so that they can be sent again"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # SQLite gives a number a second time unless the table says otherwise, and can only learn it by being rebuilt.
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    with op.batch_alter_table(
        "saga_kept_message",
        recreate="always" if on_sqlite else "never",
        table_kwargs={"sqlite_autoincrement": True},
    ) as batch:
        batch.add_column(sa.Column("content_type", sa.String(length=255), nullable=True))
        # What was kept before did not always keep its headers.
        batch.add_column(sa.Column("complete", sa.Boolean(), nullable=False, server_default=sa.false()))
