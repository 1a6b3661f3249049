"""The crowd of a paper exchange, mirrored from the live market.

Each displayed lot is taken once: what was taken stays taken until the level grows (only the growth is new)
or empties. A fresh snapshot after the feed declared the book invalid shows new lots.
"""

from __future__ import annotations

from src.core.events import (
    BookDelta,
    BookDeltas,
    BookInvalid,
    BookSnapshot,
    LifecycleKind,
    MarketData,
    MarketLifecycle,
    MarketUpdate,
    PublicTrade,
)
from src.core.market import Market, MarketStatus
from src.core.sides import BookSide
from src.core.units import Count, Price
from src.simulator.exchange import Exchange
from src.simulator.world import CrowdPrint, CrowdQuote, ListEvent


class LiveMirror:
    """Applies the live market's events to an exchange: listings, books, trades, results."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._displayed: dict[str, dict[BookSide, dict[Price, Count]]] = {}
        self._results: dict[str, tuple[str, Price]] = {}

    def apply(self, event: MarketData) -> None:
        """Mirror a market event. Events of markets not described by a ``MarketUpdate`` are ignored."""
        if isinstance(event, MarketUpdate):
            self._on_market(event)
            return
        if isinstance(event, BookDeltas):
            for delta in event:
                self.apply(delta)
            return
        if isinstance(event, BookInvalid):
            for ticker in event.tickers:
                if ticker in self._exchange.markets:
                    self._on_snapshot(BookSnapshot(ticker, (), (), 0, None, event.ts_recv))
                    self._displayed.pop(ticker, None)
            return
        if event.ticker not in self._exchange.markets:
            return
        self._exchange.advance(event.ts_recv)
        if isinstance(event, BookSnapshot):
            self._on_snapshot(event)
        elif isinstance(event, BookDelta):
            self._on_delta(event)
        elif isinstance(event, PublicTrade):
            self._exchange.apply(
                CrowdPrint(
                    event.ts_recv, event.ticker, event.trade_id, event.price, event.count, event.taker_side
                )
            )
        else:
            self._on_lifecycle(event)

    def _on_market(self, event: MarketUpdate) -> None:
        market = event.market
        self._exchange.advance(event.ts_recv)
        state = self._exchange.markets.get(market.ticker)
        if state is None:
            listed = ListEvent(
                event.ts_recv, market.event_ticker, market.series_ticker, market.title, (market,)
            )
            self._exchange.apply(listed)
        elif state.market.close_time != market.close_time:
            self._exchange.change_close_time(market.ticker, market.close_time)
        if market.result and market.settlement_value is not None:
            self._results[market.ticker] = (market.result, market.settlement_value)
        if market.status is MarketStatus.INACTIVE:
            self._exchange.set_market_active(market.ticker, False)
        elif market.status is MarketStatus.FINALIZED:
            self._pay(market)

    def _on_lifecycle(self, event: MarketLifecycle) -> None:
        ticker = event.ticker
        if event.result and event.settlement_value is not None:
            self._results[ticker] = (event.result, event.settlement_value)
        if event.kind is LifecycleKind.CLOSE_DATE_UPDATED and event.close_time is not None:
            self._exchange.change_close_time(ticker, event.close_time)
        elif event.kind in {LifecycleKind.ACTIVATED, LifecycleKind.DEACTIVATED}:
            self._exchange.set_market_active(ticker, event.kind is LifecycleKind.ACTIVATED)
        elif event.kind is LifecycleKind.SETTLED:
            self._pay(self._exchange.markets[ticker].market)

    def _pay(self, market: Market) -> None:
        """Pay by the known result; without one the position stays until a ``MarketUpdate`` brings it."""
        known = self._results.get(market.ticker)
        if known is None or self._exchange.markets[market.ticker].settled_ts is not None:
            return
        self._exchange.set_result(market.ticker, *known)
        self._exchange.pay(market.ticker)

    def _on_snapshot(self, event: BookSnapshot) -> None:
        shown = {BookSide.BID: dict(event.bids), BookSide.ASK: dict(event.asks)}
        wanted = {
            side: tuple(
                (price, left)
                for price, size in levels.items()
                if (left := self._untaken(event.ticker, side, price, size)) > 0
            )
            for side, levels in shown.items()
        }
        self._displayed[event.ticker] = shown
        self._exchange.apply(
            CrowdQuote(event.ts_recv, event.ticker, wanted[BookSide.BID], wanted[BookSide.ASK])
        )

    def _on_delta(self, event: BookDelta) -> None:
        book = self._displayed.get(event.ticker)
        if book is None:
            return
        levels = book[event.side]
        size = levels.get(event.price, 0) + event.delta
        left = self._untaken(event.ticker, event.side, event.price, size)
        if size > 0:
            levels[event.price] = size
        else:
            levels.pop(event.price, None)
        self._exchange.set_crowd_level(event.ticker, event.side, event.price, max(left, 0))

    def _untaken(self, ticker: str, side: BookSide, price: Price, size: Count) -> Count:
        """Of a level now showing ``size``, what we have not taken."""
        before = self._displayed.get(ticker, {}).get(side, {}).get(price, 0)
        taken = before - self._exchange.book(ticker).crowd_size(side, price)
        return size - min(taken, size)
