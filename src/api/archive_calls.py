"""The archive ("historical tier"), and one call per kind over the live tier and the archive together.

What settled or happened before the cut-off is served by the archive only, and the cut-off moves. So the live
tier is read first, then the cut-off, then the archive up to it: whatever moved meanwhile is found in one of
the two, and what both hold is taken once, as the live tier has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

import msgspec

from src.api import endpoints, schema, schema_account, schema_data
from src.api.account_calls import AccountCalls
from src.api.calls import PAGE, in_pieces
from src.api.candles import Candle, to_candle
from src.api.convert import nanos
from src.api.decoding import decode
from src.api.errors import HTTP_NOT_FOUND
from src.api.public_calls import Minutes, PublicCalls, windows
from src.api.query import query
from src.core.errors import DefiniteError
from src.core.units import SECOND

T = TypeVar("T")


class ArchiveCalls(PublicCalls, AccountCalls):
    """Calls to the archive, and merged reads. Times in parameters are Unix seconds."""

    async def archive_cutoff(self) -> schema_data.CutoffBody:
        """From when on things are in the live tier. It moves: read it afresh for each run."""
        return await self._get(endpoints.ARCHIVE_CUTOFF, schema_data.CutoffBody)

    # --- the archive alone -----------------------------------------------------------------------

    async def archived_markets(
        self, *, event_ticker: str = "", series_ticker: str = "", tickers: Iterable[str] = ()
    ) -> list[msgspec.Raw]:
        """Archived markets as undecoded JSON. Exactly one filter is given, or none."""
        named = {"event_ticker": event_ticker, "series_ticker": series_ticker, "tickers": ",".join(tickers)}
        given = [name for name, value in named.items() if value]
        if len(given) > 1:
            raise DefiniteError(
                f"filter {given[1]} cannot be given with {given[0]}; not sent", code="invalid_filter"
            )
        params = query(**named, mve_filter="exclude", limit=PAGE)
        pages = self._pages(endpoints.ARCHIVED_MARKETS, schema.MarketsPage, params)
        return [market async for page in pages for market in page.markets]

    async def archived_market(self, ticker: str) -> msgspec.Raw:
        """One archived market as undecoded JSON."""
        return (await self._get(endpoints.ARCHIVED_MARKET, schema.MarketAnswer, ticker=ticker)).market

    async def archived_trades(
        self, *, ticker: str = "", min_ts: int | None = None, max_ts: int | None = None
    ) -> list[schema_data.TradeBody]:
        """Archived trades, block trades included."""
        params = query(ticker=ticker, min_ts=min_ts, max_ts=max_ts, limit=PAGE)
        pages = self._pages(endpoints.ARCHIVED_TRADES, schema_data.TradesPage, params)
        return [trade async for page in pages for trade in page.trades]

    async def archived_candles(
        self, ticker: str, start_ts: int, end_ts: int, minutes: Minutes
    ) -> list[Candle]:
        """Candlesticks of an archived market that end from ``start_ts`` to ``end_ts``."""
        found: dict[int, Candle] = {}
        for start, end in windows(start_ts, end_ts, minutes):
            params = query(start_ts=start, end_ts=end, period_interval=minutes)
            answer = await self._get(
                endpoints.ARCHIVED_CANDLES, schema_data.ArchivedCandlesAnswer, params, ticker=ticker
            )
            for body in answer.candlesticks:
                found[body.end_period_ts] = to_candle(ticker, minutes, body)
        return list(found.values())

    async def archived_fills(
        self, *, ticker: str = "", min_ts: int | None = None, max_ts: int | None = None
    ) -> list[schema_account.FillBody]:
        """Our archived fills."""
        params = query(ticker=ticker, min_ts=min_ts, max_ts=max_ts, limit=PAGE)
        pages = self._pages(endpoints.ARCHIVED_FILLS, schema_account.FillsPage, params)
        return [fill async for page in pages for fill in page.fills]

    async def archived_orders(
        self, *, ticker: str = "", min_ts: int | None = None, max_ts: int | None = None
    ) -> list[schema_account.OrderBody]:
        """Our archived orders."""
        params = query(ticker=ticker, min_ts=min_ts, max_ts=max_ts, limit=PAGE)
        pages = self._pages(endpoints.ARCHIVED_ORDERS, schema_account.OrdersPage, params)
        return [order async for page in pages for order in page.orders]

    async def archived_positions(
        self, *, ticker: str = "", event_ticker: str = ""
    ) -> list[schema_account.PositionBody]:
        """Our settled positions that have moved to the archive."""
        params = query(ticker=ticker, event_ticker=event_ticker, limit=PAGE)
        pages = self._pages(endpoints.ARCHIVED_POSITIONS, schema_account.PositionsPage, params)
        return [position async for page in pages for position in page.market_positions]

    # --- both tiers ------------------------------------------------------------------------------

    async def markets_all(
        self, *, event_ticker: str = "", series_ticker: str = "", tickers: Iterable[str] = ()
    ) -> list[msgspec.Raw]:
        """Markets of an event, of a series or by ticker, however long ago they settled."""
        named = tuple(tickers)
        pieces = [tuple(piece) for piece in in_pieces(named)] or [()]
        found: dict[str, msgspec.Raw] = {}
        for piece in pieces:
            live = await self.markets(event_ticker=event_ticker, series_ticker=series_ticker, tickers=piece)
            found |= {_ticker(raw): raw for raw in live}
            if not (piece and found.keys() >= set(piece)):
                old = await self.archived_markets(
                    event_ticker=event_ticker, series_ticker=series_ticker, tickers=piece
                )
                found = {_ticker(raw): raw for raw in old} | found
        return [found[ticker] for ticker in sorted(found)]

    async def trades_all(
        self, *, ticker: str = "", min_ts: int | None = None, max_ts: int | None = None
    ) -> list[schema_data.TradeBody]:
        """Trades, oldest first, block trades included."""
        trades = await self.trades(ticker=ticker, min_ts=min_ts, max_ts=max_ts)
        until = _seconds((await self.archive_cutoff()).trades_created_ts)
        if _reaches_back(min_ts, until):
            trades += await self.archived_trades(ticker=ticker, min_ts=min_ts, max_ts=_least(max_ts, until))
        return _oldest_first(
            _once(trades, lambda trade: trade.trade_id), lambda trade: nanos(trade.created_time)
        )

    async def candles_all(
        self, series_ticker: str, ticker: str, start_ts: int, end_ts: int, minutes: Minutes
    ) -> list[Candle]:
        """Candlesticks of a market of either tier, oldest first.

        A market has all its candlesticks in one tier, by when it settled; one that neither tier knows is a
        ``DefiniteError`` (not found).
        """
        missing: DefiniteError | None = None
        candles: list[Candle] = []
        try:
            candles = await self.candles(series_ticker, ticker, start_ts, end_ts, minutes)
        except DefiniteError as error:
            if error.status != HTTP_NOT_FOUND:
                raise
            missing = error
        until = _seconds((await self.archive_cutoff()).market_settled_ts)
        if start_ts <= until:
            try:
                candles += await self.archived_candles(ticker, start_ts, end_ts, minutes)
                missing = None
            except DefiniteError as error:
                if error.status != HTTP_NOT_FOUND:
                    raise
        if missing is not None:
            raise missing
        return sorted(_once(candles, lambda candle: candle.end_ts), key=lambda candle: candle.end_ts)

    async def fills_all(
        self, *, ticker: str = "", min_ts: int | None = None, max_ts: int | None = None
    ) -> list[schema_account.FillBody]:
        """Our fills, oldest first."""
        fills = await self.fills(ticker=ticker, min_ts=min_ts, max_ts=max_ts)
        until = _seconds((await self.archive_cutoff()).trades_created_ts)
        if _reaches_back(min_ts, until):
            fills += await self.archived_fills(ticker=ticker, min_ts=min_ts, max_ts=_least(max_ts, until))
        return _oldest_first(_once(fills, lambda fill: (fill.trade_id, fill.order_id)), _filled_ns)

    async def orders_all(
        self, *, ticker: str = "", min_ts: int | None = None, max_ts: int | None = None
    ) -> list[schema_account.OrderBody]:
        """Our orders. An order resting for long is in the live tier whenever it was created."""
        orders = await self.orders(ticker=ticker, min_ts=min_ts, max_ts=max_ts)
        until = _seconds((await self.archive_cutoff()).orders_updated_ts)
        if _reaches_back(min_ts, until):
            orders += await self.archived_orders(ticker=ticker, min_ts=min_ts, max_ts=max_ts)
        return _once(orders, lambda order: order.order_id)

    async def positions_all(
        self, *, ticker: str = "", event_ticker: str = ""
    ) -> list[schema_account.PositionBody]:
        """Our positions, settled ones included. They move to the archive by the event, not by a cut-off."""
        live = await self.positions(settlement_status="all", ticker=ticker, event_ticker=event_ticker)
        old = await self.archived_positions(ticker=ticker, event_ticker=event_ticker)
        return _once([*live, *old], lambda position: position.ticker)


def _ticker(raw: msgspec.Raw) -> str:
    return decode(raw, schema.MarketTicker, "market").ticker


def _seconds(moment: datetime) -> int:
    """The end of the second that ``moment`` is in: filters are in whole seconds."""
    return nanos(moment) // SECOND + 1


def _reaches_back(min_ts: int | None, until: int) -> bool:
    return min_ts is None or min_ts <= until


def _least(max_ts: int | None, until: int) -> int:
    return until if max_ts is None else min(max_ts, until)


def _once(items: Iterable[T], key: Callable[[T], object]) -> list[T]:
    """Items without repetitions; of equals the first is kept."""
    found: dict[object, T] = {}
    for item in items:
        found.setdefault(key(item), item)
    return list(found.values())


def _oldest_first(newest_first: list[T], ts: Callable[[T], int]) -> list[T]:
    """Sorted by time; what has the same time stays in its order, which was newest first."""
    oldest_first = newest_first[::-1]
    oldest_first.sort(key=ts)
    return oldest_first


def _filled_ns(fill: schema_account.FillBody) -> int:
    if fill.created_time is not None:
        return nanos(fill.created_time)
    return (fill.ts or 0) * SECOND
