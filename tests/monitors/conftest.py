"""A clock that stands still until told, and a source's events one by one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[2].parent / "shared" / "data" / "api_fixtures"


class ManualClock:
    """A ``Clock`` whose time is a number."""

    def __init__(self, now: int) -> None:
        self.value = now

    def now(self) -> int:
        return self.value


class Sleeper:
    """Stands in for ``asyncio.sleep``: records the wait, and returns when the test lets it."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.asleep = asyncio.Event()
        self._wake = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.asleep.set()
        await self._wake.wait()
        self._wake.clear()

    def wake(self) -> None:
        self.asleep.clear()
        self._wake.set()


@pytest.fixture
def clock():
    """A clock at 2026-11-22T15:00:00Z."""
    return ManualClock(1_795_359_600 * 10**9)


@pytest.fixture
async def sleeper():
    return Sleeper()


@pytest.fixture
def reading():
    """``async with reading(source) as (events, task)``: events collect in a list until the block ends."""

    @asynccontextmanager
    async def read(source):
        events: list[object] = []

        async def consume() -> None:
            stream = source.stream()
            try:
                async for event in stream:
                    events.append(event)
            finally:
                await stream.aclose()

        task = asyncio.create_task(consume())
        try:
            yield events, task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return read


@pytest.fixture
def recorded():
    """``recorded("nws_cli_text/x.txt")`` -> the recorded body, or a skip where the recordings are absent."""

    def load(name: str) -> bytes:
        path = FIXTURES / name
        if not path.exists():
            pytest.skip(f"recorded body {name} is not available here")
        return path.read_bytes()

    return load
