"""An asyncio event loop with real sockets and virtual time: hours go by while nothing is on the wire.

Client and server run in the same loop. Every byte between them is counted, so that time moves only when all
that was sent has been read and no thread is at work; then it jumps to the next timer. What happens thus does
not depend on how fast, or how loaded, the machine is.
"""

from __future__ import annotations

import asyncio
import fcntl
import selectors
import socket
import struct
import termios
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.simulation.virtual_loop import StuckError

Ready: TypeAlias = list[tuple[selectors.SelectorKey, int]]

# More may fill the receiver's buffer, and the rest then waits with the sender until it is read.
_SURE_TO_ARRIVE = 32_768
_LONGEST_WAIT_S = 60.0
_LOOK_AGAIN_S = 0.0001


@dataclass(slots=True, eq=False)
class _Way:
    """One direction of a connection. ``reader`` is the descriptor of its end, None until it is accepted."""

    reader: int | None = None
    on_the_way: int = 0
    is_ending: bool = False
    is_over: bool = False


class _Wire:
    """All connections within the loop, and what is still to arrive."""

    def __init__(self) -> None:
        self.waited_for = 0
        """Threads at work and connections being made."""
        self._ways: dict[tuple[Any, Any], _Way] = {}

    def open(self, end: _CountedSocket) -> tuple[_Way, _Way]:
        """(out, in) of a new end of a connection."""
        here, there = end.getsockname(), end.getpeername()
        out = self._ways.setdefault((here, there), _Way())
        into = self._ways.setdefault((there, here), _Way())
        into.reader = end.fileno()
        return out, into

    def is_moving(self, ready: Ready, watched: Mapping[Any, selectors.SelectorKey], *, is_idle: bool) -> bool:
        """Whether something is yet to arrive. ``is_idle``: the loop has nothing else to do at this time."""
        if is_idle and not ready and self._is_awaited():
            return True
        self._ways = {names: way for names, way in self._ways.items() if not way.is_over}
        readable = {key.fd for key, events in ready if events & selectors.EVENT_READ}
        return any(_is_moving(way, readable, watched) for way in self._ways.values())

    def _is_awaited(self) -> bool:
        return self.waited_for > 0 or any(way.reader is None for way in self._ways.values())


def _is_moving(way: _Way, readable: set[int], watched: Mapping[Any, selectors.SelectorKey]) -> bool:
    key = None if way.reader is None else watched.get(way.reader)
    if way.reader is None or key is None or not key.events & selectors.EVENT_READ:
        return False  # its reader wants nothing now
    if way.reader not in readable:
        return way.on_the_way > 0 or way.is_ending
    (arrived,) = struct.unpack("i", fcntl.ioctl(way.reader, termios.FIONREAD, b"\0" * 4))
    return bool(arrived < min(way.on_the_way, _SURE_TO_ARRIVE))


class _CountedSocket(socket.socket):
    """A connected socket that counts what it sends and receives."""

    def count_on(self, wire: _Wire) -> None:
        """Become one end of a connection of ``wire``."""
        self._out, self._into = wire.open(self)

    def send(self, data: Any, flags: int = 0) -> int:
        sent = super().send(data, flags)
        self._out.on_the_way += sent
        return sent

    def sendmsg(self, buffers: Any, *args: Any) -> int:
        sent = super().sendmsg(buffers, *args)
        self._out.on_the_way += sent
        return sent

    def recv(self, size: int, flags: int = 0) -> bytes:
        data = self._receiving(super().recv, size, flags)
        self._took(len(data))
        return bytes(data)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        count = int(self._receiving(super().recv_into, buffer, nbytes, flags))
        self._took(count)
        return count

    def shutdown(self, how: int) -> None:
        self._out.is_ending = True
        super().shutdown(how)

    def close(self) -> None:
        self._out.is_ending = self._into.is_over = True
        super().close()

    def _receiving(self, receive: Any, *how: Any) -> Any:
        try:
            return receive(*how)
        except BlockingIOError:
            raise
        except OSError:
            self._out.is_over = self._into.is_over = True  # reset: what was on the way is lost
            raise

    def _took(self, count: int) -> None:
        self._into.on_the_way -= count
        if not count:
            self._into.is_over = True


class _Jumping(selectors.BaseSelector):
    """Waits for sockets without waiting for time."""

    def __init__(self, wire: _Wire) -> None:
        self._inner = selectors.DefaultSelector()
        self._wire = wire
        self.now = 0.0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def select(self, timeout: float | None = None) -> Ready:
        ready = self._inner.select(0)
        waiting_since: float | None = None
        while self._wire.is_moving(ready, self._inner.get_map(), is_idle=timeout != 0):
            waiting_since = time.monotonic() if waiting_since is None else waiting_since
            if time.monotonic() - waiting_since > _LONGEST_WAIT_S:
                raise StuckError("what was sent within the loop does not arrive")
            time.sleep(_LOOK_AGAIN_S)
            ready = self._inner.select(0)
        if not ready and timeout is None:
            ready = self._inner.select(None)  # the loop is closing its threads
        elif not ready and timeout is not None:
            self.now += max(timeout, 0.0)
        return sorted(ready, key=lambda each: each[0].fd)

    def close(self) -> None:
        self._inner.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()


class SocketLoop(asyncio.SelectorEventLoop):
    """``time()`` is virtual seconds from 0. Connections are to servers in the same loop only."""

    def __init__(self) -> None:
        self._wire = _Wire()
        self._jumping = _Jumping(self._wire)
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.now

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect; time stands still meanwhile."""
        self._wire.waited_for += 1
        try:
            await super().sock_connect(sock, address)
        finally:
            self._wire.waited_for -= 1

    def run_in_executor(self, executor: Executor | None, func: Any, *args: Any) -> asyncio.Future[Any]:
        """Run in a thread; time stands still meanwhile."""
        future = super().run_in_executor(executor, func, *args)
        self._wire.waited_for += 1
        future.add_done_callback(self._thread_is_done)
        return future

    def _thread_is_done(self, _: asyncio.Future[Any]) -> None:
        self._wire.waited_for -= 1

    def _make_socket_transport(self, sock: socket.socket, *args: Any, **kwargs: Any) -> Any:
        counted = _CountedSocket(sock.family, sock.type, sock.proto, fileno=sock.detach())
        counted.setblocking(False)
        counted.count_on(self._wire)
        return super()._make_socket_transport(counted, *args, **kwargs)  # type: ignore[misc]
