"""What Alembic runs: the caller's connection, inside the caller's transaction."""

from alembic import context

from sagas_framework.storage.migration import VERSION_TABLE
from sagas_framework.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
