"""``simulate`` as a stranger uses it: a ready file, and any Kalshi client can trade."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Venue
from .plain_client import PlainClient
from .programs import DATA, until

pytestmark = pytest.mark.timeout(300)


def _quoted_market(client: PlainClient) -> dict[str, Any] | None:
    """A market that is open and has offers on both sides, if there is one yet."""
    for market in client.pages("/markets?status=open", "markets"):
        book = client.call("GET", f"/markets/{market['ticker']}/orderbook")["orderbook_fp"]
        if book["yes_dollars"] and book["no_dollars"]:
            return market
    return None


async def _hears_of_an_order(client: PlainClient, ticker: str, body: dict[str, Any]) -> dict[str, Any]:
    """Place an order while listening: the book comes first, then our own order."""
    async with asyncio.timeout(20):
        socket = await client.socket()
        async with socket:
            await client.ask(
                socket, "subscribe", channels=["orderbook_delta", "user_orders"], market_tickers=[ticker]
            )
            kinds: list[str] = []
            while "orderbook_snapshot" not in kinds:
                kinds.append(json.loads(await socket.recv())["type"])
            placed: dict[str, Any] = await asyncio.to_thread(
                client.call, "POST", "/portfolio/events/orders", json=body
            )
            while "user_order" not in kinds:
                kinds.append(json.loads(await socket.recv())["type"])
    return placed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_client_of_our_own_reads_the_book_orders_and_sees_it(
    exchange: Callable[..., Venue], number: signal.Signals
) -> None:
    """The ready file is all that is needed; a stop signal ends it with code 0 and takes its files away."""
    venue = exchange("--seed", "7", "--speed", "300", "--days", "1")
    assert set(venue.ready) == {"rest_url", "ws_url", "key_id", "private_key_path"}
    key = Path(venue.ready["private_key_path"])
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    market = until(lambda: _quoted_market(venue.client), "a market with a two-sided book")
    body = {
        "ticker": market["ticker"],
        "client_order_id": "mine-1",
        "side": "bid",
        "count": "1.00",
        "price": "0.0100",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
    }
    placed = asyncio.run(_hears_of_an_order(venue.client, market["ticker"], body))
    (order,) = venue.client.orders()
    assert (order["order_id"], order["client_order_id"]) == (placed["order_id"], "mine-1")
    assert order["status"] == "resting"
    assert venue.program.stop(number) == 0, venue.program.err
    assert venue.program.err == ""
    assert not venue.ready_file.exists()
    assert not key.exists()


@pytest.mark.skipif(not DATA.is_dir(), reason="the folder of recorded tables is not there")
def test_recorded_history_can_be_traded_too(exchange: Callable[..., Venue]) -> None:
    """The real markets of those days are listed under their real names."""
    days = ("--from", "2024-10-01", "--to", "2024-10-03")
    venue = exchange("--data", str(DATA), "--series", "KXHIGHNY", *days, "--speed", "5000")

    def listed() -> bool:
        tickers = [market["ticker"] for market in venue.client.pages("/markets", "markets")]
        return any("24OCT0" in ticker for ticker in tickers)

    until(listed, "a market of October 2024")
    assert venue.program.stop() == 0


def test_two_exchanges_in_one_folder_keep_their_own_keys(exchange: Callable[..., Venue]) -> None:
    """The second one must not overwrite the key that clients of the first one sign with."""
    first, second = exchange("--speed", "1"), exchange("--speed", "1")
    assert first.client.cash() == second.client.cash() == 1000
    again = PlainClient(first.ready)
    assert again.cash() == 1000
    again.close()
