"""The key's scopes are looked at before anything runs."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from structlog.testing import capture_logs

from src.api.client import KalshiClient
from src.api.signing import Signer
from src.core.errors import ConfigError
from src.runtime.key_scopes import check_scopes
from src.runtime.settings_mode import Mode


async def checked(mode: Mode, answer: httpx.Response) -> list[Any]:
    """What is warned of when the exchange answers so."""
    signer = Signer("k", ed25519.Ed25519PrivateKey.generate(), lambda: 1_000)
    transport = httpx.MockTransport(lambda request: answer)
    client = KalshiClient("http://127.0.0.1:1/trade-api/v2", signer, transport=transport)
    try:
        with capture_logs() as logs:
            await check_scopes(client, "k", mode, 100)
    finally:
        await client.aclose()
    return [each.get("notice") or each["event"] for each in logs]


def keys(*scopes: str) -> httpx.Response:
    return httpx.Response(200, json={"api_keys": [{"api_key_id": "k", "name": "bot", "scopes": scopes}]})


@pytest.mark.parametrize("mode", [Mode.LIVE, Mode.DEMO, Mode.SIMULATED])
async def test_a_read_only_key_cannot_send_orders_and_the_start_says_so(mode: Mode) -> None:
    with pytest.raises(ConfigError, match="write::trade"):
        await checked(mode, keys("read"))


async def test_paper_trading_needs_no_more_than_reading() -> None:
    [notice] = await checked(Mode.PAPER, keys("read"))
    assert "write::trade" in notice


async def test_a_key_that_can_move_money_is_warned_of_where_money_is_real() -> None:
    [notice] = await checked(Mode.LIVE, keys("read", "write"))
    assert "move money" in notice
    assert await checked(Mode.SIMULATED, keys("read", "write")) == []
    assert await checked(Mode.LIVE, keys("read", "write::trade")) == []


async def test_a_key_that_may_not_list_keys_is_no_reason_to_stop() -> None:
    refused = httpx.Response(403, json={"error": {"code": "forbidden", "message": "forbidden"}})
    assert await checked(Mode.LIVE, refused) == ["api_key_scopes_unknown"]
