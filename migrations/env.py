"""Alembic's environment. It runs inside a connection that ``src.database.migrate`` opened.

The connection's ``search_path`` names the schema, so tables and ``alembic_version`` live there, and the
caller's transaction makes a migration all or nothing.
"""

from alembic import context

from src.database.models_log import METADATA

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("migrations are run by src.database.migrate, not by the alembic command")

context.configure(connection=connection, target_metadata=METADATA, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
