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
from pathlib import Path

import polars as pl

from backtest.column_world import Chunk
from backtest.file_rows import FileRows
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
    """Implements ``World`` over the rows of one table. No forecasts: only what it says."""

    kind = "file"

    def __init__(self, rows: FileRows) -> None:
        self._rows = rows
        kind = self._kind = rows.layout.kind
        self._spans = rows.spans
        self.start: Nanos = min(first for _, first, _, _ in self._spans) - MINUTE
        self.end: Nanos = max(last for _, _, last, _ in self._spans) + 2 * _PAID_AFTER
        self.days = (self.end - self.start) // DAY + 1
        gap = rows.median_gap() if kind != "trades" else 0.0
        self.bar: Nanos = int(gap) if gap >= BAR else 0
        late = f"; an order reaches the exchange one bar ({self.bar / SECOND:g} s) later" if self.bar else ""
        self.fill_model = _FILL_MODELS[kind] + late
        undecided = sum(1 for span in self._spans if span[3] is None)
        open_ended = f"{undecided} market(s) without a result stay unsettled"
        self.notes: tuple[str, ...] = (rows.layout.read_as, *((open_ended,) if undecided else ()))
        # Cents where every price is a whole cent, else the finest grid there is.
        step = CENT_PRICE if rows.whole_cents else 1
        self._grid = PriceGrid((PriceRange(0, DOLLAR_PRICE, step),))

    @classmethod
    def read(cls, path: Path) -> FileWorld:
        """Read a file or a folder of Parquet files. Raises ``ConfigError``."""
        return cls(FileRows(path))

    @property
    def has_quotes(self) -> bool:
        """Whether each row stands for a quote of its own, whatever came before."""
        return self._kind != "trades"

    @property
    def tickers(self) -> list[str]:
        """The markets, by first row."""
        return [ticker for ticker, _, _, _ in self._spans]

    def chunks(self) -> Iterator[Chunk]:
        """See ``ColumnWorld``; only for a file that ``has_quotes``."""
        for chunk in self._rows.chunks():
            quotes = self._quotes(chunk)
            yield {name: quotes[name].to_numpy() for name in quotes.columns}

    def milestones(self) -> Iterator[WorldEvent]:
        """Listings and results, by time."""
        return heapq.merge(self._listings(), self._results(), key=lambda event: event.ts)

    def history(self) -> Iterator[ForecastUpdate | DailyMaximum]:
        """Nothing was known before."""
        return iter(())

    def events(self) -> Iterator[WorldEvent]:
        """Listings, rows and results, by time."""
        return heapq.merge(self._listings(), self._row_events(), self._results(), key=lambda event: event.ts)

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

    def _quotes(self, rows: pl.DataFrame) -> pl.DataFrame:
        def size(name: str) -> pl.Expr:
            return pl.col(name) if name in rows.columns else pl.lit(ASSUMED_SIZE, pl.Int64)

        bid, bid_size, ask, ask_size = pl.col("bid"), size("bid_size"), pl.col("ask"), size("ask_size")
        if self._kind == "prices":
            bid, ask = pl.col("price") - HALF_SPREAD, pl.col("price") + HALF_SPREAD
            bid_size = ask_size = size("volume")
        has_bid = (bid > 0) & (bid_size > 0)
        has_ask = (ask < DOLLAR_PRICE) & (ask_size > 0)
        nobody = pl.lit(0, pl.Int64)
        return rows.select(
            "ts",
            "market",
            pl.when(has_bid).then(bid).otherwise(nobody).cast(pl.Int32).alias("bid"),
            pl.when(has_bid).then(bid_size).otherwise(nobody).alias("bid_size"),
            pl.when(has_ask).then(ask).otherwise(nobody).cast(pl.Int32).alias("ask"),
            pl.when(has_ask).then(ask_size).otherwise(nobody).alias("ask_size"),
        )

    def _row_events(self) -> Iterator[WorldEvent]:
        if not self.has_quotes:
            yield from self._trades()
            return
        tickers = self.tickers
        for chunk in self._rows.chunks():
            for ts, market, bid, bid_size, ask, ask_size in self._quotes(chunk).iter_rows():
                yield CrowdQuote(ts, tickers[market], _level(bid, bid_size), _level(ask, ask_size))

    def _trades(self) -> Iterator[WorldEvent]:
        tickers, number = self.tickers, -1
        books = {ticker: AssumedBook(ticker) for ticker in tickers}
        for chunk in self._rows.chunks():
            volume = pl.col("volume") if "volume" in chunk.columns else pl.lit(ASSUMED_SIZE, pl.Int64)
            rows = chunk.select("ts", "market", "price", volume.alias("volume"), "taker_side")
            for ts, market, price, size, side in rows.iter_rows():
                number += 1
                if not size:
                    continue
                taker, ticker = BookSide.BID if side == "yes" else BookSide.ASK, tickers[market]
                trade = CrowdPrint(ts, ticker, f"{ticker}#{number}", price, size, taker)
                yield trade
                yield books[ticker].after(trade)


def _level(price: Price, size: Count) -> Levels:
    return ((price, size),) if size > 0 else ()
