"""Breaking a connection the hard way."""

from __future__ import annotations

import socket
import struct

from aiohttp import web

# Reset instead of an orderly end when the socket is closed.
_LINGER_NOT = struct.pack("ii", 1, 0)


def reset_connection(request: web.Request) -> None:
    """Break a request's TCP connection so that its client sees a reset."""
    transport = request.transport
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()
