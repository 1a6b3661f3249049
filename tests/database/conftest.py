"""One real PostgreSQL server for the run (per worker), a fresh schema for each test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from src.database.embedded import EmbeddedPostgres
from src.database.store import PostgresStore

_numbers = count()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that an unprivileged server may live in (pytest's own are closed to other users)."""
    path = Path(tempfile.mkdtemp(prefix="kalshi-pg-"))
    path.chmod(0o755)
    yield path / "postgres"
    shutil.rmtree(path)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server_url() -> AsyncIterator[str]:
    """A running server without crash safety."""
    path = Path(tempfile.mkdtemp(prefix="kalshi-pg-"))
    path.chmod(0o755)
    async with EmbeddedPostgres(path / "postgres", durable=False) as url:
        yield url
    shutil.rmtree(path)


@pytest.fixture
def schema() -> str:
    """A schema that no other test uses."""
    return f"test_{next(_numbers)}"


@pytest_asyncio.fixture
async def store(server_url: str, schema: str) -> AsyncIterator[PostgresStore]:
    """An open store in a schema of its own."""
    opened = await PostgresStore.open(server_url, schema)
    yield opened
    await opened.close()
