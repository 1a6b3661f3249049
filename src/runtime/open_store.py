"""The daemon's store at start: wait for the database, put in what was held locally."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

import structlog

from src.core.errors import ConfigError, StoreUnavailableError
from src.database.durable import DurableStore
from src.database.errors import DatabaseUnreachable
from src.database.fallback import FallbackFile
from src.runtime.assemble import Database
from src.runtime.settings import Settings

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 5.0
T = TypeVar("T")

log = structlog.get_logger("store")


async def open_durable(
    settings: Settings, database: Database, schema: str, root: Path, stack: AsyncExitStack
) -> DurableStore:
    """The store of the instance that has just become the one writer; ``stack`` closes its file.

    What earlier instances held locally is put in first. Raises ``ConfigError``.
    """
    fallback = FallbackFile(root / settings.database.fallback_dir, schema, database.store.fence)
    stack.callback(fallback.close)
    store = DurableStore(database.store, fallback, database.revive)
    await when_up(store.recover, settings.database.start_wait_seconds)
    return store


async def when_up(
    attempt: Callable[[], Awaitable[T]],
    limit_s: float,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """The first success of ``attempt``, tried again with back-off while nobody answers, for ``limit_s``.

    Mistakes that waiting does not mend (a wrong password) are raised at once.
    """
    now = asyncio.get_running_loop().time
    began, wait = now(), _FIRST_WAIT_S
    while True:
        try:
            return await attempt()
        except (DatabaseUnreachable, StoreUnavailableError) as error:
            waited = now() - began
            if waited >= limit_s:
                raise ConfigError(f"{error} (waited {waited:.0f} s)") from None
            log.warning("waiting_for_database", reason=str(error), waited_s=round(waited), limit_s=limit_s)
        await sleep(wait)
        wait = min(_LONGEST_WAIT_S, wait * 2)
