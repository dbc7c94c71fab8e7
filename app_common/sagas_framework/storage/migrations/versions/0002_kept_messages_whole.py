"""Kept messages say whether they are whole, so that they can be sent again"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("saga_kept_message", sa.Column("content_type", sa.String(length=255), nullable=True))
    # What was kept before did not always keep its headers.
    op.add_column("saga_kept_message", sa.Column("complete", sa.Boolean(), nullable=False, server_default=sa.false()))
