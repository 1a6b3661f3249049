"""What has been: markets, trades and candlesticks of a series, from the live tier and the archive as one.

Source: Kalshi "Historical Data". What is older than a cutoff that moves forward is served only by the
archive. Records move one way, so the live tier is read before the archive and nothing falls between them;
what both give is taken once. An exchange without an archive (404 for its cutoff) has the live tier only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta

import msgspec

from src.api import schema
from src.api.candles import Candle
from src.api.client import KalshiClient
from src.api.convert import nanos
from src.api.decoding import decode
from src.api.public_calls import Minutes
from src.api.schema_data import CutoffBody, TradeBody
from src.core.errors import ConfigError, DefiniteError, WireError
from src.core.stations import event_date
from src.core.units import SECOND

HTTP_NOT_FOUND = 404
# The cutoff may move while a download runs: markets opened near it are looked for on both sides.
_CUTOFF_MARGIN = timedelta(days=2)


class PastMarketBody(msgspec.Struct):
    """A market as either tier lists it, as far as the tables need it."""

    ticker: str
    event_ticker: str
    status: str
    open_time: schema.Time
    close_time: schema.Time
    yes_sub_title: str = ""
    strike_type: str | None = None
    floor_strike: float | None = None
    cap_strike: float | None = None
    result: str = ""
    settlement_value_dollars: str | None = None
    settlement_ts: schema.Time | None = None
    expiration_value: str = ""
    volume_fp: str | None = None
    open_interest_fp: str | None = None
    last_price_dollars: str | None = None


@dataclass(frozen=True, slots=True)
class PastMarket:
    """A listed market. ``event_date``: ISO day from the event's ticker, else of the close in UTC."""

    series_ticker: str
    event_date: str
    body: PastMarketBody
    raw: bytes
    archived: bool

    @property
    def is_final(self) -> bool:
        """Whether nothing about it can change any more."""
        return self.body.status == "finalized"


def past_market(series_ticker: str, raw: bytes, *, archived: bool) -> PastMarket:
    """A market from its JSON. Raises ``WireError`` naming the field."""
    body = decode(raw, PastMarketBody, "market")
    try:
        day = event_date(body.event_ticker)
    except WireError:  # not a daily series: the ticker's date has another grammar, or there is none
        day = body.close_time.astimezone(UTC).date().isoformat()
    return PastMarket(series_ticker, day, body, raw, archived)


class History:
    """Public history through ``client``, which needs no key.

    Methods raise ``VenueError`` when a call fails and ``WireError`` when an answer breaks its contract.
    """

    def __init__(self, client: KalshiClient) -> None:
        self._client = client

    async def cutoff(self) -> CutoffBody | None:
        """Where the archive begins; None for an exchange that has none."""
        try:
            return await self._client.archive_cutoff()
        except DefiniteError as error:
            if error.status != HTTP_NOT_FOUND:
                raise
            return None

    async def markets(self, series_ticker: str, cutoff: CutoffBody | None) -> list[PastMarket]:
        """Every market of a series in both tiers. Raises ``ConfigError`` for a series not listed."""
        try:
            await self._client.series(series_ticker)
        except DefiniteError as error:
            if error.status != HTTP_NOT_FOUND:
                raise
            raise ConfigError(
                f"--series: the exchange lists no series {series_ticker}; "
                "its tickers are in the market pages' addresses, e.g. KXHIGHNY"
            ) from error
        live = await self._client.markets(series_ticker=series_ticker)
        old = [] if cutoff is None else await self._client.archived_markets(series_ticker=series_ticker)
        found: dict[str, PastMarket] = {}
        for items, archived in ((live, False), (old, True)):
            for raw in items:
                market = past_market(series_ticker, bytes(raw), archived=archived)
                found.setdefault(market.body.ticker, market)
        return list(found.values())

    async def trades(self, market: PastMarket, cutoff: CutoffBody | None) -> list[TradeBody]:
        """Every public trade of a market, block trades included, oldest first, each once."""
        body = market.body
        newest_first: list[TradeBody] = []
        if cutoff is None or body.close_time >= cutoff.trades_created_ts:
            newest_first += await self._client.trades(ticker=body.ticker)
        if cutoff is not None and body.open_time < cutoff.trades_created_ts + _CUTOFF_MARGIN:
            newest_first += await self._client.archived_trades(ticker=body.ticker)
        once = {trade.trade_id: trade for trade in newest_first}
        oldest_first = list(once.values())[::-1]
        oldest_first.sort(key=lambda trade: trade.created_time)  # stable: ties keep their order
        return oldest_first

    async def candles(self, market: PastMarket, minutes: Minutes, cutoff: CutoffBody | None) -> list[Candle]:
        """Candlesticks of ``minutes`` over the market's life, oldest first."""
        ticker = market.body.ticker
        start = nanos(market.body.open_time) // SECOND
        end = nanos(market.body.close_time) // SECOND + minutes * 60
        if not market.archived:
            try:
                found = await self._client.candles(market.series_ticker, ticker, start, end, minutes)
                return sorted(found, key=lambda candle: candle.end_ts)
            except DefiniteError as error:
                # It may have moved to the archive since it was listed.
                if error.status != HTTP_NOT_FOUND or cutoff is None:
                    raise
        found = await self._client.archived_candles(ticker, start, end, minutes)
        return sorted(found, key=lambda candle: candle.end_ts)
