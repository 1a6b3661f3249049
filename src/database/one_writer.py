"""There is one writer: the lock that an instance holds while it writes, and the number it writes under.

``lock`` takes a PostgreSQL advisory lock for life and a fencing number; every write checks the number in its
own transaction, so an instance that was frozen or cut off while another took over can write nothing more, and
therefore send nothing more.
"""

from __future__ import annotations

from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from src.core.errors import ConfigError
from src.database import leadership, statements
from src.database.connection import application_name, connect
from src.database.errors import FencedOut
from src.database.leadership import Leadership
from src.database.link import Link, close

LOCK_WAIT_MS = 2_000
TAKEN_OVER = "another instance has taken over this database: this one writes and sends nothing more"


class OneWriter:
    """What makes a store the one writer of its schema. ``fence``: the number current at its opening."""

    def __init__(self, url: str, schema: str, engine: AsyncEngine, fence: str) -> None:
        self._url = url
        self._schema = schema
        self._engine = engine
        self._fence = fence
        self._beats = Link(url, schema)
        self._lock_name = ""
        self._lock_holder: asyncpg.Connection[Any] | None = None

    @property
    def fence(self) -> int:
        """The fencing number this instance writes under."""
        return int(self._fence)

    async def lock(self, name: str) -> int:
        """Become the one writer of this schema; returns the fencing number, higher than any before.

        Waits ``LOCK_WAIT_MS`` for a predecessor that is just going. Raises ``ConfigError`` if one stays.
        """
        fence = await self.try_lock(name)
        if fence is None:
            raise ConfigError(
                f"another instance is running with this database (schema {self._schema!r}): stop it first, "
                "or start this one with --standby to take over when it ends"
            )
        return fence

    async def try_lock(self, name: str, who: str = "") -> int | None:
        """Like ``lock``, but None when another keeps it. ``who`` is shown to those who ask who leads."""
        self._lock_name = name
        holder = await self._take_lock()
        if holder is None:
            return None
        try:
            async with holder.transaction():
                fence: str = await holder.fetchval(statements.TAKE_FENCE)
                await holder.execute(statements.FIRST_BEAT, fence, who)
        except BaseException:
            await holder.close()
            raise
        self._lock_holder, self._fence = holder, fence
        return int(fence)

    async def is_locked(self, name: str) -> bool:
        """Whether an instance holds this schema's lock ``name`` now, that is, whether one is running."""
        return (await self.leadership(name)).is_held

    async def leadership(self, name: str) -> Leadership:
        """Who holds this schema's lock ``name``, and how lively it is."""
        return await leadership.look(self._engine, f"{self._schema}:{name}")

    async def displace(self, name: str, after_s: float) -> int:
        """End the connections of a holder of ``name`` that has been silent for ``after_s`` seconds."""
        lock = f"{self._schema}:{name}"
        return await leadership.displace(self._engine, lock, application_name(self._schema), after_s)

    async def beat(self) -> None:
        """Show that this instance lives. Raises ``FencedOut`` once another has taken over."""
        async with self._beats.use() as connection:
            if await connection.fetchval(statements.BEAT, self._fence) is None:
                raise FencedOut(TAKEN_OVER)

    async def _give_up_lock(self) -> None:
        """Let the next instance write; the lock goes with its connection."""
        await self._beats.close()
        if self._lock_holder is not None:
            await close(self._lock_holder)

    async def _keep_lock(self) -> None:
        """Take the lock again if the server dropped us. The fence tells whether somebody came between."""
        if self._lock_holder is not None and self._lock_holder.is_closed():
            holder = await self._take_lock()
            if holder is None:
                raise FencedOut(TAKEN_OVER)
            self._lock_holder = holder

    async def _take_lock(self) -> asyncpg.Connection[Any] | None:
        """A connection that holds the lock, or None when another keeps it."""
        connection = await connect(self._url, self._schema)
        try:
            await connection.execute(f"SET lock_timeout = '{LOCK_WAIT_MS}ms'")
            key = f"{self._schema}:{self._lock_name}"
            await connection.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", key)
        except BaseException as error:
            await connection.close()
            if isinstance(error, asyncpg.LockNotAvailableError):
                return None
            raise
        return connection
