"""A world out of one file: markets as they first appear, quotes row by row, results where the file has them.

Fill assumptions by what the file holds, strictest that it allows:

* ``trades`` (a taker side in each row): the book is assumed from past trades as in ``recorded_book``.
* ``quotes`` (bid and ask): takers trade at the bid or ask in force when the order arrives, never at the
  middle; where sizes are missing, ``ASSUMED_SIZE`` contracts are taken to stand at the touch.
* ``prices`` (no side, no quote): the ask is ``HALF_SPREAD`` above and the bid as far below the last price.
  Such a result is an upper bound for looking, never for deciding.

When a market's rows are ``BAR`` or more apart (median), a row is read as a bar and an order placed on it
reaches the exchange one bar later. A market opens with its first row and closes a second after its last.
A file without results settles nothing: positions stay open at what they would fetch.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from copy import copy
from pathlib import Path

import polars as pl

from backtest.file_columns import Columns, read_columns
from src.core.events import DailyMaximum, ForecastUpdate, Levels
from src.core.fees import FeeSchedule
from src.core.grid import PriceGrid, PriceRange
from src.core.market import Market, MarketStatus
from src.core.sides import BookSide
from src.core.units import CENT_PRICE, DAY, DOLLAR_PRICE, MINUTE, ONE_CONTRACT, SECOND, Count, Nanos, Price
from src.simulator.recorded_book import AssumedBook
from src.simulator.world import CrowdPrint, CrowdQuote, Determine, ListEvent, WorldEvent

HALF_SPREAD: Price = 2 * CENT_PRICE
ASSUMED_SIZE: Count = 100 * ONE_CONTRACT
BAR: Nanos = 10 * SECOND
_PAID_AFTER: Nanos = 60 * SECOND

_FILL_MODELS = {
    "trades": (
        "trades with taker side: the book is ASSUMED from past trades only; takers buy at that book after "
        "the latency, at most 25 % of the size shown"
    ),
    "quotes": (
        "top of book: takers trade at the bid or ask in force when the order arrives, never at the middle, "
        "at most 25 % of the size (100 contracts are assumed where the file has none)"
    ),
    "prices": (
        "PRICES ONLY: the ask is assumed 2 cents above and the bid 2 cents below the last price, for the "
        "row's volume (100 contracts without one). An upper bound for looking at, not for deciding on"
    ),
}


class FileWorld:
    """Implements ``World`` over the columns of one file. No forecasts: only what the file says."""

    kind = "file"

    def __init__(self, columns: Columns) -> None:
        self._frame = frame = columns.frame
        self._kind = columns.kind
        spans = frame.group_by("ticker", maintain_order=True).agg(
            pl.col("ts").min().alias("first"), pl.col("ts").max().alias("last")
        )
        if "result" in frame.columns:
            results = frame.drop_nulls("result").group_by("ticker").agg(pl.col("result").last())
            spans = spans.join(results, on="ticker", how="left", maintain_order="left")
        else:
            spans = spans.with_columns(pl.lit(None, pl.String).alias("result"))
        self._spans: list[tuple[str, Nanos, Nanos, str | None]] = list(spans.iter_rows())
        self.start: Nanos = min(first for _, first, _, _ in self._spans) - MINUTE
        self.end: Nanos = max(last for _, _, last, _ in self._spans) + 2 * _PAID_AFTER
        self.days = (self.end - self.start) // DAY + 1
        self.bar = _bar(frame) if columns.kind != "trades" else 0
        late = f"; an order reaches the exchange one bar ({self.bar / SECOND:g} s) later" if self.bar else ""
        self.fill_model = _FILL_MODELS[columns.kind] + late
        undecided = sum(1 for span in self._spans if span[3] is None)
        open_ended = f"{undecided} market(s) without a result stay unsettled"
        self.notes: tuple[str, ...] = (columns.read_as, *((open_ended,) if undecided else ()))
        self._grid = _grid(frame)
        self._kept: pl.DataFrame | None = None

    @classmethod
    def read(cls, path: Path) -> FileWorld:
        """Read a file. Raises ``ConfigError``."""
        return cls(read_columns(path))

    @property
    def has_quotes(self) -> bool:
        """Whether each row stands for a quote of its own, whatever came before."""
        return self._kind != "trades"

    def quotes(self) -> pl.DataFrame:
        """The rows as quotes: ts, ticker, bid, ask (null for nobody), bid_size, ask_size."""
        if self._kept is not None:
            return self._kept
        frame = self._frame
        if self._kind == "prices":
            size = pl.col("volume") if "volume" in frame.columns else pl.lit(ASSUMED_SIZE, pl.Int64)
            bid, ask = pl.col("price") - HALF_SPREAD, pl.col("price") + HALF_SPREAD
            return frame.drop_nulls("price").select(
                "ts",
                "ticker",
                pl.when(bid > 0).then(bid).alias("bid"),
                pl.when(ask < DOLLAR_PRICE).then(ask).alias("ask"),
                size.alias("bid_size"),
                size.alias("ask_size"),
            )
        sizes = [
            pl.col(name) if name in frame.columns else pl.lit(ASSUMED_SIZE, pl.Int64).alias(name)
            for name in ("bid_size", "ask_size")
        ]
        return frame.select("ts", "ticker", "bid", "ask", *sizes)

    def with_rows(self, quotes: pl.DataFrame) -> FileWorld:
        """The same markets, times and results with these quotes only."""
        other = copy(self)
        other._kept = quotes
        return other

    def history(self) -> Iterator[ForecastUpdate | DailyMaximum]:
        """Nothing was known before."""
        return iter(())

    def events(self) -> Iterator[WorldEvent]:
        """Listings, rows and results, by time."""
        return heapq.merge(self._listings(), self._rows(), self._results(), key=lambda event: event.ts)

    def _listings(self) -> Iterator[WorldEvent]:
        for ticker, first, last, _ in sorted(self._spans, key=lambda span: span[1]):
            # A file names markets, not events: each is an event of its own, and shares no event limit.
            market = Market(
                ticker=ticker,
                event_ticker=ticker,
                series_ticker=ticker.partition("-")[0],
                status=MarketStatus.INITIALIZED,
                open_time=first - SECOND,
                close_time=last + SECOND,
                grid=self._grid,
                fees=FeeSchedule(),
                title=ticker,
            )
            yield ListEvent(first - SECOND, ticker, market.series_ticker, ticker, (market,))

    def _results(self) -> Iterator[WorldEvent]:
        for ticker, _, last, result in sorted(self._spans, key=lambda span: span[2]):
            if result is not None:
                value = DOLLAR_PRICE if result == "yes" else 0
                yield Determine(last + _PAID_AFTER, ticker, result, value, "")

    def _rows(self) -> Iterator[WorldEvent]:
        if not self.has_quotes:
            return self._trades()
        return (
            CrowdQuote(ts, ticker, _level(bid, bid_size), _level(ask, ask_size))
            for ts, ticker, bid, ask, bid_size, ask_size in self.quotes().iter_rows()
        )

    def _trades(self) -> Iterator[WorldEvent]:
        volume = pl.col("volume") if "volume" in self._frame.columns else pl.lit(ASSUMED_SIZE, pl.Int64)
        rows = self._frame.select("ts", "ticker", "price", volume.alias("volume"), "taker_side")
        books: dict[str, AssumedBook] = {}
        for number, (ts, ticker, price, size, side) in enumerate(rows.drop_nulls("price").iter_rows()):
            if not size:
                continue
            taker = BookSide.BID if side == "yes" else BookSide.ASK
            trade = CrowdPrint(ts, ticker, f"{ticker}#{number}", price, size, taker)
            yield trade
            yield books.setdefault(ticker, AssumedBook(ticker)).after(trade)


def _level(price: Price | None, size: Count) -> Levels:
    return ((price, size),) if price is not None and size > 0 else ()


def _bar(frame: pl.DataFrame) -> Nanos:
    gaps = frame.select(pl.col("ts").diff().over("ticker").alias("gap")).drop_nulls()["gap"]
    middle = gaps.median()
    if not isinstance(middle, int | float) or middle < BAR:
        return 0
    return int(middle)


def _grid(frame: pl.DataFrame) -> PriceGrid:
    """Cents where every price is a whole cent, else the finest grid there is."""
    prices = [name for name in ("bid", "ask", "price") if name in frame.columns]
    whole = all(bool((frame[name].drop_nulls() % CENT_PRICE == 0).all()) for name in prices)
    return PriceGrid((PriceRange(0, DOLLAR_PRICE, CENT_PRICE if whole else 1),))
