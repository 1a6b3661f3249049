"""Events on their way from a feed to who consumes them, with the number of messages they came from."""

from __future__ import annotations

import asyncio

from src.core.events import Event

MOST_QUEUED = 10_000
"""Messages beyond which putting waits: reading stops then, and the venue's buffer ends the subscription."""


class Outflow:
    """One stream's events, in order."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[tuple[tuple[Event, ...], int] | None] = asyncio.Queue()
        self._queued = 0  # messages whose events wait, and what else waits
        self._room = asyncio.Event()

    async def put(self, events: tuple[Event, ...], *, frames: int = 0) -> None:
        """Pass on what came from so many messages, once there is room."""
        while self._queued >= MOST_QUEUED:
            self._room.clear()
            await self._room.wait()
        if events or frames:
            self._queued += max(frames, 1)
            self._queue.put_nowait((events, frames))

    async def get(self) -> tuple[tuple[Event, ...], int] | None:
        """The next events and their number of messages; None when there will be no more."""
        item = await self._queue.get()
        if item is not None:
            self._queued -= max(item[1], 1)
            self._room.set()
        return item

    def end(self) -> None:
        """Say that nothing follows."""
        self._queue.put_nowait(None)
