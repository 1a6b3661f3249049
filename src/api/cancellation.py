"""Letting what has begun come to its end although the caller is being cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end and return its result, cancelled or not."""
    task = asyncio.ensure_future(work)
    interrupted = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            interrupted = True
    if interrupted:
        cancel_later()
    return task.result()


def cancel_later() -> None:
    """Keep a cancellation that was caught: it is raised again at the caller's next await."""
    if (task := asyncio.current_task()) is not None:
        task.uncancel()
        task.cancel()
