"""The switch of a busy feed to compiled books, once they are ready; trading never waits for it.

A daemon starts with plain books. Where it follows many markets, a process of its own compiles the kernels
into numba's cache (half a minute of one core the first time, a second or two afterwards), a thread then loads
them from there, the engine's books move into arrays a few at a time between events, and the feed gets its
scanner.
Without numba, or when compiling fails, the plain books stay: both give the same books from the same messages.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog

from src.execution.market_state import MarketState
from src.runtime.pauses import collection_put_off

if TYPE_CHECKING:
    from src.api.delta_scan import DeltaScanner
    from src.core.book_arrays import BookArrays

FROM_MARKETS = 500
"""Fewer markets do not send enough for it to be worth numba's 100 MB."""
_LOOK_EVERY_S = 30.0
_MOVED_AT_ONCE = 16  # half a millisecond's work
# Niced, because the feed and the engine go on beside it.
_COMPILE = "import os; os.nice(10); import src.api.delta_scan, src.core.book_arrays"
_ROOT = Path(__file__).parents[2]
log = structlog.get_logger("books")

Sleep = Callable[[float], Awaitable[object]]


class Feed(Protocol):
    """The feed, as far as the switch knows it."""

    @property
    def watched(self) -> int:
        """Markets followed."""

    def read_compiled(self, make: Callable[[], DeltaScanner]) -> None:
        """Have runs of changes read by scanners made by ``make``."""


async def compile_books(feed: Feed, markets: MarketState, sleep: Sleep = asyncio.sleep) -> None:
    """A service: wait until many markets are followed, then switch once. Never ends by itself."""
    while feed.watched < FROM_MARKETS:
        await sleep(_LOOK_EVERY_S)
    reason = await _compiled()
    if reason:
        log.warning("plain_books", reason=reason)
    else:
        scanner, arrays = await asyncio.to_thread(_load)
        for moved, _ in enumerate(markets.move_books(arrays())):
            if moved % _MOVED_AT_ONCE == 0:
                await asyncio.sleep(0)  # messages are waiting meanwhile
        feed.read_compiled(scanner)
        log.info("compiled_books", markets=feed.watched)
    await asyncio.Event().wait()


async def _compiled() -> str:
    """Compile in a process of its own; returns why it failed, empty when it did not."""
    compiler = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _COMPILE,
        cwd=_ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await compiler.communicate()
    finally:
        if compiler.returncode is None:
            compiler.kill()
            await compiler.wait()
    if not compiler.returncode:
        return ""
    return said.decode(errors="replace").strip().rpartition("\n")[2] or f"exit code {compiler.returncode}"


def _load() -> tuple[type[DeltaScanner], type[BookArrays]]:
    with collection_put_off():
        from src.api.delta_scan import DeltaScanner
        from src.core.book_arrays import BookArrays

        # The first call of a kernel makes numba load 50 ms' worth of modules more: here, not in the loop.
        DeltaScanner().admit("any")
    return DeltaScanner, BookArrays
