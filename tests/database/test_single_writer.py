"""One instance writes. A second is kept out; one that was cut off and replaced can write nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from src.core.actions import Noted
from src.core.errors import ConfigError
from src.database import one_writer
from src.database.connection import connect
from src.database.errors import FencedOut
from src.database.store import PostgresStore
from tests.database.records import approved

HOLDERS = (
    "SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE locktype = 'advisory' AND granted AND application_name = $1"
)
NOTE = Noted("note", {}, 1)


@pytest_asyncio.fixture
async def rival(server_url: str, schema: str, store: PostgresStore) -> AsyncIterator[PostgresStore]:
    """A second instance on the same schema."""
    opened = await PostgresStore.open(server_url, schema)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def admin(server_url: str, schema: str) -> AsyncIterator[asyncpg.Connection]:
    """A look from outside."""
    connection = await connect(server_url, schema)
    yield connection
    await connection.close()


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_writer, "LOCK_WAIT_MS", 50)


async def _holders(admin: asyncpg.Connection, schema: str) -> list[int]:
    return [row["pid"] for row in await admin.fetch(HOLDERS, f"kalshi-trading:{schema}")]


async def _cut_off(admin: asyncpg.Connection, schema: str) -> None:
    """What a dead network does to the holder of the lock: the server drops its connection."""
    (pid,) = await _holders(admin, schema)
    assert await admin.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)


async def test_a_second_instance_is_kept_out(store: PostgresStore, rival: PostgresStore) -> None:
    assert await store.lock("trader") == 1
    with pytest.raises(ConfigError, match="another instance is running with this database"):
        await rival.lock("trader")
    await store.append([NOTE])


async def test_modes_do_not_exclude_each_other(store: PostgresStore, server_url: str, schema: str) -> None:
    await store.lock("trader")
    other = await PostgresStore.open(server_url, f"{schema}_paper")
    assert await other.lock("trader") == 1
    await other.close()


async def test_the_lock_is_free_again_after_closing_and_the_number_rises(
    store: PostgresStore, rival: PostgresStore
) -> None:
    await store.lock("trader")
    await store.close()
    assert await rival.lock("trader") == 2
    await rival.put_intent(approved("s1"))


async def test_an_instance_that_was_replaced_can_put_and_append_nothing(
    store: PostgresStore, rival: PostgresStore, admin: asyncpg.Connection, schema: str
) -> None:
    await store.lock("trader")
    await store.put_intent(approved("s1"))
    await _cut_off(admin, schema)
    await rival.lock("trader")
    with pytest.raises(FencedOut, match="another instance"):
        await store.put_intent(approved("s2"))
    with pytest.raises(FencedOut, match="another instance"):
        await store.append([NOTE])
    state = await rival.load()
    assert [order.intent.signal_id for order in state.orders] == ["s1"]
    assert await rival.journal() == ()


async def test_an_instance_that_was_cut_off_takes_its_lock_back(
    store: PostgresStore, rival: PostgresStore, admin: asyncpg.Connection, schema: str
) -> None:
    await store.lock("trader")
    await _cut_off(admin, schema)
    async with asyncio.timeout(10):
        while not await _holders(admin, schema):
            await store.append([NOTE])
    with pytest.raises(ConfigError, match="another instance"):
        await rival.lock("trader")
    await store.put_intent(approved("s1"))


async def test_a_new_owner_waits_for_an_order_that_is_being_committed(
    store: PostgresStore, rival: PostgresStore, admin: asyncpg.Connection, schema: str
) -> None:
    await store.lock("trader")
    await _cut_off(admin, schema)
    async with admin.transaction():
        # What a put in flight holds until it commits.
        await admin.execute("SELECT 1 FROM control_state WHERE key = 'fence' FOR SHARE")
        taking = asyncio.create_task(rival.lock("trader"))
        watcher = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"
        async with asyncio.timeout(10):
            while not await admin.fetchval(watcher):
                assert not taking.done()
    assert await taking == 2
