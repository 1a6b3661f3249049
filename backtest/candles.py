"""A world out of candles: bars with the bid and the ask, from ``download``, the API or a file of one's own.

* A candle is known at its end. An order decided on it trades at the close of the next one.
* The size on offer is not in a candle: what traded in it is taken, at most ``MOST`` contracts.
* A candle that only carries the last price forward is nobody's offer: the book is empty until the next.
* A resting order is filled only where the other side's extreme in a candle passed it by a tick or more.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

from backtest.candle_table import TABLE, events_beside, read_candles, results_beside, table_in
from src.core.errors import ConfigError
from src.core.events import DailyMaximum, ForecastUpdate, Levels
from src.core.fees import FeeSchedule
from src.core.grid import PriceGrid, PriceRange
from src.core.market import Market, MarketStatus
from src.core.sides import BookSide
from src.core.units import (
    CENT_PRICE,
    DAY,
    DOLLAR_PRICE,
    MINUTE,
    ONE_CONTRACT,
    SECOND,
    Count,
    Nanos,
    Price,
)
from src.simulator.world import CrowdQuote, CrowdSweep, Determine, ListEvent, WorldEvent

MOST: Count = 100 * ONE_CONTRACT
_PAID_AFTER: Nanos = 60 * SECOND


class CandleWorld:
    """Implements ``World`` over one table of candles. Raises ``ConfigError`` naming line, column and mend."""

    kind = "candles"

    def __init__(self, path: Path) -> None:
        file = table_in(path, TABLE) if path.is_dir() else path
        if file is None:
            raise ConfigError(f"data: {path} holds no table {TABLE}; put {TABLE}.parquet or .csv there")
        self._candles = sorted(read_candles(file), key=attrgetter("ts", "ticker"))
        self._results = results_beside(file)
        self._events = events_beside(file)
        spans: dict[str, tuple[Nanos, Nanos]] = {}
        gaps: list[Nanos] = []
        for candle in self._candles:
            first, last = spans.get(candle.ticker, (candle.ts, candle.ts))
            if candle.ts > last:
                gaps.append(candle.ts - last)
            spans[candle.ticker] = (first, candle.ts)
        self._spans = spans
        self.bar: Nanos = sorted(gaps)[len(gaps) // 2] if gaps else MINUTE
        self.start: Nanos = min(first for first, _ in spans.values()) - self.bar - MINUTE
        self.end: Nanos = max(last for _, last in spans.values()) + 2 * _PAID_AFTER
        self.days = (self.end - self.start) // DAY + 1
        self.fill_model = (
            f"candles of {self.bar / SECOND:g} s: takers trade at the close of the candle after the "
            "decision, at most 25 % of what traded in it (or of 100 contracts), never on a candle that only "
            "carries a price forward; resting orders only where the other side's extreme passed "
            "them by a tick"
        )
        carried = sum(candle.is_carried for candle in self._candles)
        undecided = len(spans.keys() - self._results.keys())
        notes = [f"{len(self._candles):,} candles of {len(spans):,} markets, {carried:,} carried forward"]
        if undecided:
            notes.append(f"{undecided} market(s) without a result stay unsettled")
        self.notes: tuple[str, ...] = tuple(notes)

    def history(self) -> Iterator[ForecastUpdate | DailyMaximum]:
        """Nothing was known before."""
        return iter(())

    def events(self) -> Iterator[WorldEvent]:
        """Listings, candles and results, by time."""
        return heapq.merge(self._listings(), self._flow(), self._endings(), key=attrgetter("ts"))

    def _listings(self) -> Iterator[WorldEvent]:
        grid = PriceGrid((PriceRange(0, DOLLAR_PRICE, CENT_PRICE),))
        for ticker, (first, last) in sorted(self._spans.items(), key=lambda row: (row[1][0], row[0])):
            event = self._events.get(ticker, ticker)
            market = Market(
                ticker=ticker,
                event_ticker=event,
                series_ticker=ticker.partition("-")[0],
                status=MarketStatus.INITIALIZED,
                open_time=first - SECOND,
                close_time=last + SECOND,
                grid=grid,
                fees=FeeSchedule(),
                title=ticker,
            )
            yield ListEvent(first - SECOND, event, market.series_ticker, event, (market,))

    def _flow(self) -> Iterator[WorldEvent]:
        for candle in self._candles:
            size = min(MOST, candle.volume)
            if candle.volume:
                if candle.lowest_ask is not None:
                    yield CrowdSweep(candle.ts, candle.ticker, BookSide.BID, candle.lowest_ask, candle.volume)
                if candle.highest_bid is not None:
                    yield CrowdSweep(
                        candle.ts, candle.ticker, BookSide.ASK, candle.highest_bid, candle.volume
                    )
            tradeable = not candle.is_carried and size > 0
            bids = _level(candle.bid, size) if tradeable else ()
            yield CrowdQuote(candle.ts, candle.ticker, bids, _level(candle.ask, size) if tradeable else ())

    def _endings(self) -> Iterator[WorldEvent]:
        for ticker, (_, last) in sorted(self._spans.items(), key=lambda row: (row[1][1], row[0])):
            result = self._results.get(ticker)
            if result is not None:
                yield Determine(
                    last + _PAID_AFTER, ticker, result, DOLLAR_PRICE if result == "yes" else 0, ""
                )


def _level(price: Price | None, size: Count) -> Levels:
    return ((price, size),) if price is not None else ()
