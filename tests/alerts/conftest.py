from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import pytest

from src.alerts.telegram_bot import TelegramAlerter
from tests.alerts.fake_bot_api import TOKEN, FakeBotApi, FakeTime, Heard

MakeAlerter: TypeAlias = Callable[..., TelegramAlerter]
Running: TypeAlias = Callable[[TelegramAlerter], AbstractAsyncContextManager[None]]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
async def api() -> AsyncIterator[FakeBotApi]:
    async with FakeBotApi().serving() as server:
        yield server


@pytest.fixture
async def world_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def closed_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def make_alerter(world_time: FakeTime, heard: Heard) -> MakeAlerter:
    def make(base_url: str, **changes: Any) -> TelegramAlerter:
        given: dict[str, Any] = {
            "mode": "PAPER",
            "fallback": heard,
            "base_url": base_url,
            "clock": world_time.clock,
            "sleep": world_time.sleep,
            "rng": lambda: 1.0,
        }
        chat_id = changes.pop("chat_id", 42)
        return TelegramAlerter(TOKEN, chat_id, **(given | changes))

    return make


@pytest.fixture
def running() -> Running:
    @asynccontextmanager
    async def context(alerter: TelegramAlerter) -> AsyncIterator[None]:
        task = asyncio.create_task(alerter.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return context
