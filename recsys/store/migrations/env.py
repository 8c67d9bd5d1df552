"""What alembic runs for every command: the steps on the connection it was given, in the caller's transaction."""

from alembic import context

from recsys.store.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, version_table="barista_version"
)
context.run_migrations()
