"""One instance trades: becoming that one, standing by for it, and showing that one lives."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from src.core.errors import ConfigError
from src.database.errors import DatabaseUnavailable
from src.database.store import PostgresStore
from src.runtime.assemble import DAEMON_LOCK

log = structlog.get_logger("leadership")
_BEAT_S = 1.0
_RETRY_S = 1.0


async def lead(store: PostgresStore, who: str, *, standby: bool, takeover_s: float) -> int:
    """Become the one instance of this ledger; returns the fencing number, higher than any before.

    ``standby`` waits for it: until the running instance ends or loses its lock, or has not beaten for
    ``takeover_s`` seconds. Without it ``ConfigError`` says that another runs.
    """
    fence = await store.try_lock(DAEMON_LOCK, who)
    if fence is not None:
        return fence
    if not standby:
        running = await store.leadership(DAEMON_LOCK)
        raise ConfigError(
            f"another instance is running with this database ({running.who}, fence {running.fence}): stop it "
            "first, or start this one with --standby to take over when it ends"
        )
    return await _stand_by(store, who, takeover_s)


async def _stand_by(store: PostgresStore, who: str, takeover_s: float) -> int:
    running = await store.leadership(DAEMON_LOCK)
    log.info("standing_by", leader=running.who, leader_fence=running.fence, takeover_after_s=takeover_s)
    while True:
        try:
            fence = await store.try_lock(DAEMON_LOCK, who)
            if fence is not None:
                log.warning("taking_over", from_leader=running.who, fence=fence)
                return fence
            running = await store.leadership(DAEMON_LOCK)
            if running.is_held and running.silent_s is not None and running.silent_s > takeover_s:
                log.warning("leader_is_silent", leader=running.who, silent_s=round(running.silent_s, 1))
                await store.displace(DAEMON_LOCK, takeover_s)
        except (ConfigError, DatabaseUnavailable, OSError) as error:
            log.warning("standby_cannot_look", error=str(error), retry_in_s=_RETRY_S)
            await asyncio.sleep(_RETRY_S)


async def unless_stopped(leading: Coroutine[Any, Any, int], stop: asyncio.Event) -> int | None:
    """The outcome of ``leading``, or None when ``stop`` was set first."""
    work = asyncio.create_task(leading, name="leadership")
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        work.cancel()
        stopped.cancel()
        await asyncio.gather(work, stopped, return_exceptions=True)


async def keep_beating(store: PostgresStore) -> None:
    """Show every second that this instance lives. Raises ``FencedOut`` when another has taken over."""
    while True:
        try:
            await store.beat()
        except DatabaseUnavailable as error:
            # No order leaves without its row, so nothing is at stake here but our place.
            log.warning("heartbeat_missed", error=str(error))
        await asyncio.sleep(_BEAT_S)
