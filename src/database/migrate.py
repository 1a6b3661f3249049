"""Running the migrations: always inside one mode's schema, one process at a time.

Alembic's configuration is built here; there is no ini file to keep in step. To write the next migration,
change ``models`` and run ``python -m src.database.migrate "what changed"`` with DATABASE_URL set: it
compares the models with a migrated scratch schema and writes ``migrations/versions/``.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text

from src.core.errors import ConfigError
from src.database.connection import check_schema, connect, create_engine
from src.database.models_log import METADATA

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
_LOCK_KEY = 4_021_777
_SCRATCH = "migration_scratch"


async def upgrade(url: str, schema: str, revision: str = "head") -> None:
    """Create the schema if it is missing and bring its tables to ``revision``.

    Raises ``ConfigError`` when the database cannot be reached, may not be changed, or is newer than
    this version of the system.
    """
    await _create_schema(url, schema)
    await _run(url, schema, lambda config: command.upgrade(config, revision))


async def downgrade(url: str, schema: str, revision: str) -> None:
    """Take the tables of ``schema`` back to ``revision`` (``"base"``: none)."""
    await _run(url, schema, lambda config: command.downgrade(config, revision))


async def drop(url: str, schema: str) -> None:
    """Remove a schema and all it holds: for ledgers that begin anew with every run, like a demo's."""
    connection = await connect(url, schema)
    try:
        await connection.execute(f"DROP SCHEMA IF EXISTS {check_schema(schema)} CASCADE")
    finally:
        await connection.close()


async def empty(url: str, schema: str) -> None:
    """Empty every table of ``schema``: for ledgers that begin anew again and again, like a drill's."""
    names = ", ".join(table.name for table in METADATA.sorted_tables)
    connection = await connect(url, schema)
    try:
        await connection.execute(f"TRUNCATE {names} RESTART IDENTITY")
    finally:
        await connection.close()


async def _create_schema(url: str, schema: str) -> None:
    connection = await connect(url, schema)
    try:
        # IF NOT EXISTS asks for the right to create even when there is nothing to create.
        if not await connection.fetchval(
            "SELECT 1 FROM pg_namespace WHERE nspname = $1", check_schema(schema)
        ):
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    except asyncpg.InsufficientPrivilegeError:
        raise ConfigError(
            f"DATABASE_URL: this user may not create the schema {schema!r}: GRANT CREATE ON DATABASE to it"
        ) from None
    finally:
        await connection.close()


async def _run(url: str, schema: str, work: Callable[[Config], object]) -> None:
    def inside(connection: Connection) -> None:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        work(config)

    engine = create_engine(url, schema)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(inside)
    except CommandError as error:
        raise ConfigError(
            f"database schema {schema!r} does not fit this version of the system ({error}): "
            "install the version that wrote it, or a newer one"
        ) from None
    finally:
        await engine.dispose()


async def _write_revision(url: str, message: str) -> None:
    await upgrade(url, _SCRATCH)
    await _run(url, _SCRATCH, lambda config: command.revision(config, message, autogenerate=True))
    await drop(url, _SCRATCH)


if __name__ == "__main__":
    asyncio.run(_write_revision(os.environ["DATABASE_URL"], sys.argv[1]))
