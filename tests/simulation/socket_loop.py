"""An asyncio event loop with real sockets and virtual time: hours go by while nothing is on the wire.

Client and server run in the same loop, so what one sends the other can read at once. Time moves only when no
socket is ready: then it jumps to the next timer.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any

# The loopback may need a moment to carry what was written.
_PATIENCE_S = 0.0002


class _Jumping(selectors.BaseSelector):
    """Waits for sockets without waiting for time."""

    def __init__(self) -> None:
        self._inner = selectors.DefaultSelector()
        self.now = 0.0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._inner.select(0)
        if ready or timeout == 0:
            return ready
        ready = self._inner.select(_PATIENCE_S)
        if ready:
            return ready
        if timeout is None:
            return self._inner.select(None)  # a thread is at work
        self.now += timeout
        return []

    def close(self) -> None:
        self._inner.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()


class SocketLoop(asyncio.SelectorEventLoop):
    """``time()`` is virtual seconds from 0."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.now
