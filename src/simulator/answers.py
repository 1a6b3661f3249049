"""What every HTTP handler shares: the base path, JSON answers, and who is asking."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiohttp import web

API = "/trade-api/v2"
WS_PATH = "/trade-api/ws/v2"
KEY_ID = web.RequestKey("key_id", str)

_encoder = msgspec.json.Encoder()


def json_answer(body: Mapping[str, object], status: int = 200) -> web.Response:
    """A JSON response."""
    return web.Response(body=_encoder.encode(body), status=status, content_type="application/json")


def json_text(body: Mapping[str, object]) -> str:
    """JSON for a WebSocket text frame."""
    return _encoder.encode(body).decode()
