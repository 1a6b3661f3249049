"""Public market data: exchange, series, events, markets, books, trades, candlesticks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from src.api import endpoints, schema, schema_data
from src.api.calls import PAGE, Calls, in_pieces
from src.api.candles import Candle, to_candle
from src.api.market_filter import MarketFilter, TimeFilter
from src.api.query import query
from src.core.errors import DefiniteError, WireError

EVENTS_PAGE = 200
# The venue's limit for many markets at once; for one market it names none.
CANDLES_PER_CALL = 10_000

Minutes = Literal[1, 60, 1440]


class PublicCalls(Calls):
    """Calls that need no key. Times in parameters are Unix seconds."""

    # --- exchange --------------------------------------------------------------------------------

    async def exchange_status(self) -> schema.ExchangeStatusBody:
        """Whether the exchange and its trading are active."""
        return await self._get(endpoints.EXCHANGE_STATUS, schema.ExchangeStatusBody)

    async def exchange_schedule(self) -> schema_data.ScheduleBody:
        """Trading hours (New York time) and announced maintenance."""
        return (await self._get(endpoints.EXCHANGE_SCHEDULE, schema_data.ScheduleAnswer)).schedule

    async def user_data_timestamp(self) -> schema.UserDataTimestampBody:
        """How fresh the portfolio reads are."""
        return await self._get(endpoints.USER_DATA_TIMESTAMP, schema.UserDataTimestampBody)

    # --- series and events -----------------------------------------------------------------------

    async def series(self, series_ticker: str) -> schema.SeriesBody:
        """A series."""
        answer = await self._get(endpoints.SERIES, schema.SeriesAnswer, series_ticker=series_ticker)
        return answer.series

    async def series_list(
        self, *, category: str = "", tags: str = "", min_updated_ts: int | None = None
    ) -> list[schema.SeriesBody]:
        """Every series of a category (exact, e.g. "Climate and Weather") or with one of ``tags`` (csv)."""
        params = query(category=category, tags=tags, min_updated_ts=min_updated_ts)
        return (await self._get(endpoints.SERIES_LIST, schema.SeriesListAnswer, params)).series

    async def series_fee_changes(
        self, series_ticker: str = "", *, show_historical: bool = False
    ) -> list[schema_data.SeriesFeeChangeBody]:
        """Announced changes of fee terms, those of the past too if wanted."""
        params = query(series_ticker=series_ticker, show_historical="true" if show_historical else "")
        answer = await self._get(endpoints.SERIES_FEE_CHANGES, schema_data.SeriesFeeChangesAnswer, params)
        return answer.series_fee_change_arr

    async def event(self, event_ticker: str) -> schema.EventBody:
        """An event, without its markets."""
        answer = await self._get(endpoints.EVENT, schema.EventAnswer, event_ticker=event_ticker)
        return answer.event

    async def events(
        self,
        series_ticker: str = "",
        status: str = "",
        *,
        tickers: Iterable[str] = (),
        min_close_ts: int | None = None,
        min_updated_ts: int | None = None,
    ) -> list[schema.EventBody]:
        """Events with their markets (archived ones are left out by the venue).

        ``status``: "", unopened, open, closed or settled; an event has it when any of its markets does.
        """
        params = query(
            series_ticker=series_ticker,
            status=status,
            tickers=",".join(tickers),
            min_close_ts=min_close_ts,
            min_updated_ts=min_updated_ts,
            with_nested_markets="true",
            limit=EVENTS_PAGE,
        )
        pages = self._pages(endpoints.EVENTS, schema.EventsPage, params)
        return [event async for page in pages for event in page.events]

    async def event_fee_changes(self, event_ticker: str = "") -> list[schema_data.EventFeeChangeBody]:
        """Announced changes of events' fee overrides."""
        params = query(event_ticker=event_ticker, limit=PAGE)
        pages = self._pages(endpoints.EVENT_FEE_CHANGES, schema_data.EventFeeChangesPage, params)
        return [change async for page in pages for change in page.event_fee_changes]

    # --- markets ---------------------------------------------------------------------------------

    async def markets(
        self,
        *,
        event_ticker: str = "",
        series_ticker: str = "",
        tickers: Iterable[str] = (),
        status: str = "",
        time: TimeFilter | None = None,
        mve: Literal["exclude", "only"] = "exclude",
    ) -> list[msgspec.Raw]:
        """Markets as undecoded JSON, for ``convert.to_market``.

        ``status`` is one of ``market_filter.STATUSES`` or empty. Filters that exclude each other are refused
        before sending (``DefiniteError``, code ``invalid_filter``).
        """
        wanted = MarketFilter(event_ticker, series_ticker, tuple(tickers), status, time, mve)
        pages = self._pages(endpoints.MARKETS, schema.MarketsPage, wanted.query(PAGE))
        return [market async for page in pages for market in page.markets]

    async def market(self, ticker: str) -> msgspec.Raw:
        """One market as undecoded JSON. A just created one may be "not found" for a moment."""
        return (await self._get(endpoints.MARKET, schema.MarketAnswer, ticker=ticker)).market

    async def orderbook(self, ticker: str) -> schema.OrderbookBody:
        """One market's whole book."""
        return (await self._get(endpoints.ORDERBOOK, schema.OrderbookAnswer, ticker=ticker)).orderbook_fp

    async def orderbooks(self, tickers: Sequence[str]) -> list[schema.MarketOrderbookBody]:
        """The whole books of many markets, a hundred in one call."""
        books: list[schema.MarketOrderbookBody] = []
        for piece in in_pieces(tickers):
            params = [("tickers", ticker) for ticker in piece]
            answer = await self._get(endpoints.ORDERBOOKS, schema.OrderbooksAnswer, params)
            books.extend(answer.orderbooks)
        return books

    async def trades(
        self, *, ticker: str = "", min_ts: int | None = None, max_ts: int | None = None
    ) -> list[schema_data.TradeBody]:
        """Trades of the live tier, newest first, block trades included."""
        params = query(ticker=ticker, min_ts=min_ts, max_ts=max_ts, limit=PAGE)
        pages = self._pages(endpoints.TRADES, schema_data.TradesPage, params)
        return [trade async for page in pages for trade in page.trades]

    # --- candlesticks ----------------------------------------------------------------------------

    async def candles(
        self, series_ticker: str, ticker: str, start_ts: int, end_ts: int, minutes: Minutes
    ) -> list[Candle]:
        """Candlesticks of a market of the live tier that end from ``start_ts`` to ``end_ts``."""
        path = {"series_ticker": series_ticker, "ticker": ticker}
        found: dict[int, Candle] = {}
        for start, end in windows(start_ts, end_ts, minutes):
            params = query(start_ts=start, end_ts=end, period_interval=minutes)
            answer = await self._get(endpoints.CANDLES, schema_data.CandlesAnswer, params, **path)
            for body in answer.candlesticks:
                found[body.end_period_ts] = to_candle(ticker, minutes, body)
        return list(found.values())

    async def markets_candles(
        self, tickers: Sequence[str], start_ts: int, end_ts: int, minutes: Minutes
    ) -> dict[str, list[Candle]]:
        """Candlesticks of many markets, by ticker, in calls that stay below the venue's limit."""
        found: dict[str, dict[int, Candle]] = {ticker: {} for ticker in tickers}
        for piece in in_pieces(tickers):
            for start, end in windows(start_ts, end_ts, minutes, markets=len(piece)):
                params = query(
                    market_tickers=",".join(piece), start_ts=start, end_ts=end, period_interval=minutes
                )
                answer = await self._get(endpoints.MARKETS_CANDLES, schema_data.MarketsCandlesAnswer, params)
                for market in answer.markets:
                    if market.market_ticker not in found:
                        raise WireError("markets.market_ticker", market.market_ticker, "a market asked for")
                    for body in market.candlesticks:
                        candle = to_candle(market.market_ticker, minutes, body)
                        found[market.market_ticker][body.end_period_ts] = candle
        return {ticker: list(candles.values()) for ticker, candles in found.items()}

    async def event_candles(
        self, series_ticker: str, event_ticker: str, start_ts: int, end_ts: int, minutes: Minutes
    ) -> tuple[dict[str, list[Candle]], int]:
        """Candlesticks of an event's markets, by ticker, and the second up to which they are complete."""
        params = query(start_ts=start_ts, end_ts=end_ts, period_interval=minutes)
        answer = await self._get(
            endpoints.EVENT_CANDLES,
            schema_data.EventCandlesAnswer,
            params,
            series_ticker=series_ticker,
            ticker=event_ticker,
        )
        tickers, lists = answer.market_tickers, answer.market_candlesticks
        if len(tickers) != len(lists):
            raise WireError("market_candlesticks", len(lists), f"one list for each of {len(tickers)} tickers")
        found = {
            ticker: [to_candle(ticker, minutes, body) for body in bodies]
            for ticker, bodies in zip(tickers, lists, strict=True)
        }
        return found, answer.adjusted_end_ts


def windows(start_ts: int, end_ts: int, minutes: int, *, markets: int = 1) -> list[tuple[int, int]]:
    """Spans of time that hold at most ``CANDLES_PER_CALL`` candlesticks of so many markets together.

    Neighbours share their border, so that whichever end the venue leaves out nothing is missed.
    """
    if end_ts < start_ts:
        raise DefiniteError(
            f"candlesticks: end_ts {end_ts} is before start_ts {start_ts}", code="invalid_filter"
        )
    step = max(1, CANDLES_PER_CALL // markets - 1) * minutes * 60
    borders = [*range(start_ts, end_ts, step), end_ts]
    return list(pairwise(borders)) if len(borders) > 1 else [(start_ts, end_ts)]
