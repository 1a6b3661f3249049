"""The staged stop: orders off the book, calls to their end, sources closed, the journal written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

import structlog

from src.core.actions import Alert, Severity
from src.core.events import Shutdown, Tick

if TYPE_CHECKING:
    from src.runtime.daemon import Daemon

log = structlog.get_logger("daemon")
_LOOK_EVERY_S = 0.05


async def stop_in_stages(daemon: Daemon, sources: set[asyncio.Task[None]]) -> None:
    """Stop ``daemon``; a stage that takes too long is alerted and left behind."""
    log.info("stopping")
    daemon.inject(Shutdown(daemon.clock.now()))
    await _stage(daemon, "cancel resting orders", _nothing_live(daemon), 15.0)
    await _stage(daemon, "wait for calls under way", daemon.executor.drain(), 15.0)
    for task in sources:
        task.cancel()
    await asyncio.gather(*sources, return_exceptions=True)
    if not daemon.writer.is_down:
        await _stage(daemon, "flush the journal", daemon.writer.flushed(), 10.0)


async def _stage(daemon: Daemon, name: str, work: Awaitable[None], timeout: float) -> None:
    try:
        await asyncio.wait_for(work, timeout)
    except TimeoutError:
        log.error("stop_stage_late", stage=name, timeout_s=timeout)
        text = f"stop: '{name}' took over {timeout:g} s"
        daemon.notifier.send(Alert(Severity.CRITICAL, "stop_late", text, daemon.clock.now()))


async def _nothing_live(daemon: Daemon) -> None:
    """Until no order of ours may trade any more. Cancels whose outcome is unclear are read again."""
    while True:
        await daemon.executor.drain()
        if daemon.is_quiet:
            orders = daemon.engine.ledger.orders.live()
            if not any(order.is_live and not order.external for order in orders):
                return
            daemon.inject(Tick(daemon.clock.now()))
            daemon.inject(Shutdown(daemon.clock.now()))
        await asyncio.sleep(_LOOK_EVERY_S)
