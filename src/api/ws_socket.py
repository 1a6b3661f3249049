"""The WebSocket below a feed: its limits, and no word of its headers in any log."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from websockets.asyncio.client import connect

MAX_FRAME_BYTES = 4 * 1024 * 1024  # a snapshot of a 0.0001-dollar grid with every level occupied is 0.5 MB
KEEPALIVE_S = 10.0
OPEN_TIMEOUT_S = 10.0

# The library logs handshake headers at DEBUG; they carry the key's id and a signature.
_LOG = logging.getLogger("src.api.websocket")
_LOG.setLevel(logging.INFO)


def opening(url: str, headers: Mapping[str, str]) -> connect:
    """A connection to ``url``, to be awaited or entered."""
    return connect(
        url,
        additional_headers=headers,
        open_timeout=OPEN_TIMEOUT_S,
        ping_interval=KEEPALIVE_S,
        ping_timeout=KEEPALIVE_S,
        close_timeout=1.0,
        max_size=MAX_FRAME_BYTES,
        compression=None,
        proxy=None,
        logger=_LOG,
    )
