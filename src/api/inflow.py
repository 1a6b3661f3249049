"""What a socket has received, drained together: as many messages at a time as arrived since the last time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from src.api.dropping import Dropped

MOST_WAITING = 4 * 1024 * 1024
"""Bytes beyond which reading stops until they are taken; a batch of changes is a hundredth of it."""


class Inflow:
    """The messages of one connection. ``fill`` runs as a task of its own beside the one that takes them.

    ``on_message`` is called for each message as it is read.
    """

    def __init__(self, socket: ClientConnection, on_message: Callable[[], None]) -> None:
        self._socket = socket
        self._on_message = on_message
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._closed = ""
        self._filled = asyncio.Event()
        self._room = asyncio.Event()

    async def fill(self) -> None:
        """Read messages until the connection ends."""
        receive = self._socket.recv
        try:
            while True:
                # Does not suspend while the socket holds a whole message: then all of them are taken at once.
                raw = await receive(decode=False)
                self._on_message()
                self._waiting.append(raw)
                self._bytes += len(raw)
                self._filled.set()
                while self._bytes >= MOST_WAITING:
                    self._room.clear()
                    await self._room.wait()
        except ConnectionClosed as error:
            self._closed = f"connection closed: {error}"
            self._filled.set()
        # What came before the end still has to be taken; the taker then reports it.
        await asyncio.Event().wait()

    async def take(self) -> list[bytes]:
        """Every message that waits, at least one. Raises ``Dropped`` once the connection has ended."""
        while not self._waiting:
            if self._closed:
                raise Dropped(self._closed)
            self._filled.clear()
            await self._filled.wait()
        taken, self._waiting, self._bytes = self._waiting, [], 0
        self._room.set()
        return taken
