"""Both tiers behind one call: nothing twice, nothing missing, wherever the cut-off is and moves to."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web

from src.api.candles import Ohlc
from src.api.public_calls import windows
from src.core.errors import DefiniteError, WireError

T0 = 1_795_334_400
NOT_FOUND = {"error": {"code": "not_found", "message": "not found"}}


def rfc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


class Tiers:
    """An exchange whose trades and fills move to the archive when the cut-off passes them."""

    def __init__(
        self, exchange: Any, times: list[float], cutoff: float, moves_to: float | None = None
    ) -> None:
        self.times = times
        self.cutoff = cutoff
        self.moves_to = moves_to
        for kind, live, old in (
            ("trades", "/markets/trades", "/historical/trades"),
            ("fills", "/portfolio/fills", "/historical/fills"),
        ):
            exchange.routes[f"GET {live}"] = self.page(kind, lambda at: at >= self.cutoff)
            exchange.routes[f"GET {old}"] = self.page(kind, lambda at: at < self.cutoff)
        exchange.routes["GET /historical/cutoff"] = self.cut

    def page(self, kind: str, holds: Any) -> Any:
        async def answer(request: web.Request) -> web.Response:
            least = int(request.query.get("min_ts", 0))
            most = int(request.query.get("max_ts", 10**12))
            at = sorted((t for t in self.times if holds(t) and least <= t <= most), reverse=True)
            start = int(request.query.get("cursor", 0))
            items = [self.item(kind, t) for t in at[start : start + 3]]
            more = str(start + 3) if start + 3 < len(at) else ""
            if not more and self.moves_to is not None:
                self.cutoff, self.moves_to = self.moves_to, None  # after the live tier has been read
            return web.json_response({kind: items, "cursor": more})

        return answer

    def item(self, kind: str, at: float) -> dict[str, Any]:
        number = self.times.index(at)
        common = {"trade_id": f"t{number}", "ticker": "T", "count_fp": "1.00", "yes_price_dollars": "0.4000"}
        if kind == "trades":
            return {**common, "taker_book_side": "bid", "created_time": rfc(at)}
        own = {"order_id": f"o{number}", "book_side": "bid", "fee_cost": "0.00", "is_taker": True}
        return {**common, **own, "created_time": rfc(at)}

    async def cut(self, _: web.Request) -> web.Response:
        names = ("market_settled_ts", "trades_created_ts", "orders_updated_ts")
        return web.json_response(dict.fromkeys(names, rfc(self.cutoff)))


@pytest.mark.parametrize("seed", range(8))
async def test_trades_and_fills_of_both_tiers_are_whole_though_the_cutoff_moves(exchange, client, seed):
    rng = random.Random(seed)
    times = sorted({T0 + rng.randrange(0, 4_000) / 8 for _ in range(20)})
    cutoff = rng.choice(times) if seed % 2 else T0 + rng.uniform(0, 500)
    moves_to = cutoff + rng.uniform(0, 100) if seed % 3 else None
    tiers = Tiers(exchange, times, cutoff, moves_to)
    wanted = [f"t{number}" for number in range(len(times))]
    assert [trade.trade_id for trade in await client.trades_all(ticker="T")] == wanted
    assert [fill.trade_id for fill in await client.fills_all()] == wanted
    low, high = T0 + 100, T0 + 400
    inside = [f"t{tiers.times.index(t)}" for t in times if low <= t <= high]
    assert [trade.trade_id for trade in await client.trades_all(min_ts=low, max_ts=high)] == inside


async def test_the_archive_is_left_alone_when_the_range_is_younger_than_the_cutoff(exchange, client):
    Tiers(exchange, [T0, T0 + 10], T0 - 1_000)
    assert len(await client.trades_all(min_ts=T0 - 5)) == 2
    assert exchange.sent("GET", "/historical/trades") == []


OHLC = {"open": "0.3000", "low": "0.2500", "high": "0.4000", "close": "0.3500"}


def live_candle(end: int, **price: str) -> dict[str, Any]:
    side = {
        "open_dollars": "0.3000",
        "low_dollars": "0.2500",
        "high_dollars": "0.4000",
        "close_dollars": "0.3500",
    }
    return {
        "end_period_ts": end,
        "yes_bid": side,
        "yes_ask": side,
        "price": price,
        "volume_fp": "3.00",
        "open_interest_fp": "8.50",
    }


def old_candle(end: int) -> dict[str, Any]:
    price = {**dict.fromkeys(("open", "low", "high", "close", "mean")), "previous": "0.3100"}
    return {
        "end_period_ts": end,
        "yes_bid": OHLC,
        "yes_ask": OHLC,
        "price": price,
        "volume": "3.00",
        "open_interest": "8.50",
    }


async def test_candles_of_both_tiers_are_the_same_type_and_merged_by_their_end(exchange, client):
    Tiers(exchange, [], T0 + 7_200)
    exchange.routes["GET /historical/markets/T/candlesticks"] = {
        "candlesticks": [old_candle(T0), old_candle(T0 + 3_600)]
    }
    priced = live_candle(
        T0 + 3_600, open_dollars="0.3", low_dollars="0.3", high_dollars="0.3", close_dollars="0.3"
    )
    priced["price"]["mean_dollars"] = "0.312345"
    exchange.routes["GET /series/S/markets/T/candlesticks"] = {
        "candlesticks": [priced, live_candle(T0 + 7_200)]
    }
    first, second, third = await client.candles_all("S", "T", T0, T0 + 7_200, 60)
    assert first.yes_bid == Ohlc(3_000, 2_500, 4_000, 3_500) == third.yes_ask
    assert (first.price, first.previous, first.open_interest) == (None, 3_100, 850)
    assert (second.price, second.mean) == (Ohlc(3_000, 3_000, 3_000, 3_000), 312_345)


async def test_a_market_that_moved_is_found_in_the_archive_and_one_in_neither_is_an_error(exchange, client):
    Tiers(exchange, [], T0 + 7_200)
    exchange.routes["GET /historical/markets/T/candlesticks"] = {"candlesticks": [old_candle(T0)]}
    assert len(await client.candles_all("S", "T", T0, T0 + 60, 1)) == 1
    with pytest.raises(DefiniteError, match="404"):
        await client.candles_all("S", "U", T0, T0 + 60, 1)


async def test_half_a_candle_is_an_error_naming_the_field(exchange, client):
    exchange.routes["GET /series/S/markets/T/candlesticks"] = {
        "candlesticks": [live_candle(T0, open_dollars="0.3000")]
    }
    with pytest.raises(WireError, match=r"price\.low"):
        await client.candles("S", "T", T0, T0 + 60, 1)


async def test_markets_orders_and_positions_of_both_tiers_are_taken_once(exchange, client):
    Tiers(exchange, [], T0)
    exchange.routes["GET /markets"] = {"markets": [{"ticker": "A", "tier": "live"}], "cursor": ""}
    exchange.routes["GET /historical/markets"] = {"markets": [{"ticker": "B"}, {"ticker": "A"}], "cursor": ""}
    found = [bytes(raw) for raw in await client.markets_all(series_ticker="S")]
    assert len(found) == 2
    assert b"live" in found[0]
    order = {
        "order_id": "o1",
        "ticker": "T",
        "book_side": "bid",
        "status": "resting",
        "yes_price_dollars": "0.3700",
        "initial_count_fp": "1.00",
        "fill_count_fp": "0.00",
        "remaining_count_fp": "1.00",
    }
    exchange.routes["GET /portfolio/orders"] = {"orders": [order]}
    exchange.routes["GET /historical/orders"] = {
        "orders": [{**order, "status": "canceled"}, {**order, "order_id": "o0"}]
    }
    assert {o.order_id: o.status for o in await client.orders_all()} == {"o1": "resting", "o0": "resting"}
    money = dict.fromkeys(("market_exposure_dollars", "realized_pnl_dollars", "fees_paid_dollars"), "0.00")
    held = {"ticker": "T", "position_fp": "1.00", **money}
    exchange.routes["GET /portfolio/positions"] = {"market_positions": [held]}
    exchange.routes["GET /historical/positions"] = {"market_positions": [held, {**held, "ticker": "U"}]}
    assert [position.ticker for position in await client.positions_all()] == ["T", "U"]


async def test_the_archives_filters_exclude_each_other(client, exchange):
    with pytest.raises(DefiniteError, match="tickers cannot be given with series_ticker"):
        await client.archived_markets(series_ticker="S", tickers=["T"])
    assert exchange.requests == []


def test_windows_cover_the_range_and_stay_below_the_limit():
    spans = windows(0, 3_000_000, 1, markets=4)
    assert (spans[0][0], spans[-1][1]) == (0, 3_000_000)
    assert all(left[1] == right[0] for left, right in pairwise(spans))
    assert all(((end - start) // 60 + 1) * 4 <= 10_000 for start, end in spans)
    assert windows(5, 5, 60) == [(5, 5)]
    with pytest.raises(DefiniteError, match="end_ts 1 is before start_ts 2"):
        windows(2, 1, 60)
