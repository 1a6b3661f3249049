"""A small exchange on this machine that serves history from two tiers, two items a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

BASE = "/trade-api/v2"
CUTOFF = "2026-06-01T00:00:00Z"


def market(ticker: str, opened: str, closed: str, **changes: Any) -> dict[str, Any]:
    """A settled market as the exchange lists it."""
    body = {
        "ticker": ticker,
        "event_ticker": ticker.rpartition("-")[0],
        "status": "finalized",
        "open_time": opened,
        "close_time": closed,
        "yes_sub_title": "50° to 51°",
        "strike_type": "between",
        "floor_strike": 50,
        "cap_strike": 51,
        "result": "yes",
        "settlement_value_dollars": "1.0000",
        "settlement_ts": "2026-06-02T14:00:00Z",
        "expiration_value": "51.00",
        "volume_fp": "12.50",
        "open_interest_fp": "10.00",
        "last_price_dollars": "0.9900",
    }
    return {**body, **changes}


def trade(number: int, ticker: str, created: str, **changes: Any) -> dict[str, Any]:
    """A public trade as the exchange lists it."""
    body = {
        "trade_id": f"t{number}",
        "ticker": ticker,
        "count_fp": "3.00",
        "yes_price_dollars": "0.4200",
        "no_price_dollars": "0.5800",
        "taker_outcome_side": "yes",
        "taker_book_side": "bid",
        "created_time": created,
        "is_block_trade": False,
    }
    return {**body, **changes}


@dataclass
class TwoTiers:
    """Markets and trades by tier; ``requests`` are path and query of what was asked."""

    live_markets: list[dict[str, Any]] = field(default_factory=list)
    old_markets: list[dict[str, Any]] = field(default_factory=list)
    live_trades: list[dict[str, Any]] = field(default_factory=list)
    old_trades: list[dict[str, Any]] = field(default_factory=list)
    candles: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    has_archive: bool = True
    requests: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def base_url(self) -> str:
        """Where a client finds it."""
        return f"http://127.0.0.1:{self.port}{BASE}"

    def asked(self, *parts: str) -> list[str]:
        """Requests that hold all of these."""
        return [request for request in self.requests if all(part in request for part in parts)]

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        path, query = request.path.removeprefix(BASE), request.query
        self.requests.append(f"{path}?{request.query_string}")
        if path == "/series/KXHIGHNY":
            return web.json_response(
                {"series": {"ticker": "KXHIGHNY", "fee_type": "quadratic", "fee_multiplier": 1}}
            )
        if path == "/historical/cutoff" and self.has_archive:
            names = ("market_settled_ts", "trades_created_ts", "orders_updated_ts")
            return web.json_response(dict.fromkeys(names, CUTOFF))
        if path in {"/markets", "/historical/markets"}:
            return self._page(self.live_markets if path == "/markets" else self.old_markets, "markets", query)
        if path in {"/markets/trades", "/historical/trades"}:
            trades = self.live_trades if path == "/markets/trades" else self.old_trades
            of_market = [item for item in trades if item["ticker"] == query["ticker"]]
            newest_first = sorted(of_market, key=lambda item: item["created_time"], reverse=True)
            return self._page(newest_first, "trades", query)
        if path.endswith("/candlesticks") and path in self.candles:
            return web.json_response({"ticker": "x", "candlesticks": self.candles[path]})
        return web.json_response({"error": {"code": "not_found", "message": "not found"}}, status=404)

    def _page(self, items: list[dict[str, Any]], name: str, query: Any) -> web.Response:
        start = int(query.get("cursor") or 0)
        after = start + 2
        cursor = str(after) if after < len(items) else ""
        return web.json_response({name: items[start:after], "cursor": cursor})
