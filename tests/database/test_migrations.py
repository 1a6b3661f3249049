"""Migrations and models agree, go down and up again, and stay inside their schema."""

from __future__ import annotations

import asyncio

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from src.core.actions import ControlValue
from src.core.errors import ConfigError
from src.database import migrate
from src.database.connection import create_engine
from src.database.models_log import METADATA
from src.database.store import PostgresStore


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    return list(compare_metadata(context, METADATA))


def _checks(connection: Connection) -> dict[str, set[str]]:
    inspector = inspect(connection)
    return {
        table: {str(check["name"]) for check in inspector.get_check_constraints(table)}
        for table in METADATA.tables
    }


async def test_migrated_tables_are_exactly_the_models(server_url: str, schema: str) -> None:
    await migrate.upgrade(server_url, schema)
    engine = create_engine(server_url, schema)
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
        migrated = await connection.run_sync(_checks)
    await engine.dispose()
    created = create_engine(server_url, schema)
    async with created.begin() as connection:
        await connection.execute(text(f"CREATE SCHEMA {schema}_models"))
        await connection.execute(text(f"SET search_path TO {schema}_models"))
        await connection.run_sync(METADATA.create_all, checkfirst=False)
        made = await connection.run_sync(
            lambda sync: {
                table: {
                    str(check["name"])
                    for check in inspect(sync).get_check_constraints(table, schema=f"{schema}_models")
                }
                for table in METADATA.tables
            }
        )
    await created.dispose()
    assert migrated == made
    assert len(migrated["orders"]) == 8


async def test_down_and_up_again(server_url: str, schema: str) -> None:
    await migrate.upgrade(server_url, schema)
    await migrate.downgrade(server_url, schema, "base")
    engine = create_engine(server_url, schema)
    async with engine.connect() as connection:
        assert await connection.run_sync(lambda sync: inspect(sync).get_table_names()) == ["alembic_version"]
    await engine.dispose()
    await migrate.upgrade(server_url, schema)
    store = await PostgresStore.open(server_url, schema)
    assert (await store.load()).orders == ()
    await store.close()


async def test_instances_that_migrate_at_once_do_not_collide(server_url: str, schema: str) -> None:
    await migrate.upgrade(server_url, schema, "base")
    await asyncio.gather(*(migrate.upgrade(server_url, schema) for _ in range(4)))
    store = await PostgresStore.open(server_url, schema)
    assert await store.journal() == ()
    await store.close()


async def test_modes_never_see_each_other(server_url: str, schema: str) -> None:
    paper = await PostgresStore.open(server_url, f"{schema}_paper")
    live = await PostgresStore.open(server_url, f"{schema}_live")
    await paper.append([ControlValue("day_start", "paper", 1)])
    assert (await live.load()).values == {}
    assert (await paper.load()).values == {"day_start": "paper"}
    await paper.close()
    await live.close()


async def test_a_database_of_a_newer_version_is_refused(server_url: str, schema: str) -> None:
    await migrate.upgrade(server_url, schema)
    engine = create_engine(server_url, schema)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await engine.dispose()
    with pytest.raises(ConfigError, match="9999"):
        await PostgresStore.open(server_url, schema)


@pytest.mark.parametrize("name", ["public", "pg_live", "Live", "a;drop", "", "1st"])
async def test_schema_names_that_are_not_a_modes_are_refused(server_url: str, name: str) -> None:
    with pytest.raises(ConfigError, match="database schema"):
        await PostgresStore.open(server_url, name)
