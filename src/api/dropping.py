"""How a connection ends: why, in words, and its tasks."""

from __future__ import annotations

import asyncio

from websockets.exceptions import InvalidStatus

from src.core.errors import TradingSystemError


class Dropped(TradingSystemError):
    """The connection was given up or lost; the text says why."""


def reason_of(error: Exception) -> str:
    """The reason for the log and the engine."""
    if isinstance(error, InvalidStatus):
        return f"WebSocket handshake answered HTTP {error.response.status_code}"
    return str(error) if isinstance(error, TradingSystemError) else f"{type(error).__name__}: {error}"


def is_refusal(error: Exception) -> bool:
    """Whether the exchange refused the key at the handshake."""
    return isinstance(error, InvalidStatus) and error.response.status_code in {401, 403}


async def stop_tasks(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they are done."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
