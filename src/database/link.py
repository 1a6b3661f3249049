"""A connection that is used by one caller at a time and made anew after it broke."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from src.core.errors import ConfigError
from src.database.connection import connect
from src.database.errors import DatabaseUnavailable

# An order must not wait long for a database that is gone: its price is seconds old by then.
RECONNECT_LIMIT_S = 3
CLOSE_LIMIT_S = 2
_OUTAGES = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    # What the driver says when the connection is lost between a statement and its answer.
    asyncpg.InternalClientError,
)


class Link:
    """One asyncpg connection to ``schema``."""

    def __init__(self, url: str, schema: str) -> None:
        self._url = url
        self._schema = schema
        self._busy = asyncio.Lock()
        self._connection: asyncpg.Connection[Any] | None = None

    @asynccontextmanager
    async def use(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        """The connection; outages become ``DatabaseUnavailable``."""
        async with self._busy:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await connect(self._url, self._schema, limit_s=RECONNECT_LIMIT_S)
                yield self._connection
            except (*_OUTAGES, ConfigError) as error:
                if self._connection is not None:
                    self._connection.terminate()
                    self._connection = None
                raise DatabaseUnavailable(
                    f"the database does not answer: {str(error) or type(error).__name__}"
                ) from error
            except asyncio.CancelledError:
                # A frozen server never says that the command is over, which the next one would wait for.
                if self._connection is not None:
                    self._connection.terminate()
                    self._connection = None
                raise

    async def close(self) -> None:
        """Close the connection; a later ``use`` opens another."""
        if self._connection is not None:
            await close(self._connection)


async def close(connection: asyncpg.Connection[Any]) -> None:
    """Close a connection; a server that does not answer is left without a word."""
    try:
        await connection.close(timeout=CLOSE_LIMIT_S)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
