"""The recorded world: real trades, forecasts and outcomes, replayed in order of when they were known.

Every public trade is a ``CrowdPrint``, followed by a ``CrowdQuote`` with the book assumed around it; the
assumptions are written at the top of ``recorded_book``, listing and results at the top of
``recorded_markets``, forecast and settlement times at the top of ``recorded_weather``. Nothing emitted
at a time depends on a row from after it. Fees are the plain quadratic schedule, multiplier 1.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from operator import attrgetter
from pathlib import Path

import polars as pl

from src.core.errors import ConfigError
from src.core.events import DailyMaximum, ForecastUpdate
from src.core.sides import BookSide
from src.core.stations import station_for_series
from src.core.units import CENT_PRICE, MILLISECOND, MINUTE, ONE_CONTRACT, SECOND, Nanos
from src.simulator.recorded_book import GONE_AFTER, STALE_AFTER, AssumedBook
from src.simulator.recorded_markets import (
    SETTLEMENT_TIMER_SECONDS,
    RecordedEvent,
    check_series,
    load_events,
)
from src.simulator.recorded_tables import RecordedTables
from src.simulator.recorded_weather import weather_records
from src.simulator.world import CrowdPrint, WeatherNews, WorldEvent

HISTORY_DAYS = 400
_TRADES = "kalshi_trades"
_TAKERS = {"yes": BookSide.BID, "no": BookSide.ASK}


class RecordedWorld:
    """Real history of ``series`` for climate days ``date_from`` to ``date_to``. Implements ``World``.

    ``data_dir``: folder with the tables of ``recorded_tables``; dates ISO, both included. ``notes`` says
    in one line each what was left out. Raises ``ConfigError`` for a missing folder, table or column, an
    unknown series, a malformed date, or a range without events.
    """

    kind = "recorded"

    def __init__(self, data_dir: Path, series: Sequence[str], date_from: str, date_to: str) -> None:
        first = _iso_date("date_from", date_from)
        if _iso_date("date_to", date_to) < first:
            raise ConfigError(f"date_to: {date_to} lies before date_from {date_from}; swap them")
        tables = RecordedTables(data_dir)
        check_series(tables, series)
        stations = [station_for_series(name) for name in dict.fromkeys(series)]
        self._trades = _load_trades(tables, list(series), date_from, date_to)
        self._events, notes = load_events(tables, stations, date_from, date_to, _first_trades(self._trades))
        if not self._events:
            raise ConfigError(
                f"no usable event of {', '.join(series)} from {date_from} to {date_to}: {'; '.join(notes)}"
            )
        oldest = (first - timedelta(days=HISTORY_DAYS)).isoformat()
        self._weather = weather_records(tables, stations, oldest, date_to)
        self.notes: tuple[str, ...] = notes
        self.days = len({event.iso_date for event in self._events})
        self.start: Nanos = self._events[0].listing.ts
        determined = max(event.determinations[0].ts for event in self._events)
        self.end: Nanos = determined + SETTLEMENT_TIMER_SECONDS * SECOND + MINUTE

    def history(self) -> Iterator[ForecastUpdate | DailyMaximum]:
        """Forecasts and final maxima of the ``HISTORY_DAYS`` before, as far as public by ``start``."""
        return (record for record in self._weather if record.ts_recv < self.start)

    def events(self) -> Iterator[WorldEvent]:
        """Everything from ``start`` to ``end``; an event's trades are turned into messages as needed."""
        return heapq.merge(
            self._weather_news(),
            *(self._replay(event) for event in self._events),
            key=attrgetter("ts"),
        )

    def _weather_news(self) -> Iterator[WorldEvent]:
        for record in self._weather:
            if self.start <= record.ts_recv <= self.end:
                yield WeatherNews(record.ts_recv, record)

    def _replay(self, event: RecordedEvent) -> Iterator[WorldEvent]:
        """One event: listing, trades each with the book assumed after it, withdrawals, results."""
        yield event.listing
        closes = {market.ticker: market.close_time for market in event.listing.markets}
        books = {ticker: AssumedBook(ticker) for ticker in event.tickers}
        staleness: list[tuple[Nanos, str]] = []
        for trade in self._prints(event):
            if trade.ts >= closes[trade.ticker]:
                continue
            yield from _ageing(books, staleness, trade.ts)
            yield trade
            yield books[trade.ticker].after(trade)
            for age in (STALE_AFTER, GONE_AFTER):
                if trade.ts + age < closes[trade.ticker]:
                    heapq.heappush(staleness, (trade.ts + age, trade.ticker))
        yield from _ageing(books, staleness, max(closes.values()))
        yield from event.determinations

    def _prints(self, event: RecordedEvent) -> Iterator[CrowdPrint]:
        rows = self._trades.filter(pl.col("market_ticker").is_in(event.tickers))
        rows = rows.sort("ts_ms", maintain_order=True)
        for number, (ticker, ts_ms, price, count, taker) in enumerate(rows.iter_rows()):
            yield CrowdPrint(
                ts_ms * MILLISECOND,
                ticker,
                f"{event.listing.event_ticker}#{number}",
                round(price * 100) * CENT_PRICE,
                count * ONE_CONTRACT,
                _TAKERS[taker],
            )


def _ageing(
    books: dict[str, AssumedBook], staleness: list[tuple[Nanos, str]], until: Nanos
) -> Iterator[WorldEvent]:
    while staleness and staleness[0][0] <= until:
        ts, ticker = heapq.heappop(staleness)
        quote = books[ticker].aged(ts)
        if quote is not None:
            yield quote


def _iso_date(field: str, text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{field}: {text!r} is not an ISO date, e.g. 2024-10-01") from error
    if day.isoformat() != text:
        raise ConfigError(f"{field}: {text!r} is not an ISO date, e.g. {day.isoformat()}")
    return day


def _load_trades(tables: RecordedTables, series: list[str], date_from: str, date_to: str) -> pl.DataFrame:
    """Trades as columns (market_ticker, ts_ms, yes_price_usd, count, taker_side), checked."""
    in_series = pl.col("series_ticker").is_in(series)
    in_range = pl.col("event_date").is_between(pl.lit(date_from), pl.lit(date_to))
    columns = ["market_ticker", "ts_ms", "yes_price_usd", "count", "taker_side"]
    trades = tables.collect(_TRADES, in_series & in_range, columns)
    cents = pl.col("yes_price_usd") * 100
    good = (
        ((cents - cents.round()).abs() < 1e-6)
        & cents.round().is_between(1, 99)
        & (pl.col("count") >= 1)
        & pl.col("taker_side").cast(pl.String).is_in(list(_TAKERS))
        & pl.col("ts_ms").is_not_null()
    )
    bad = trades.filter(~good.fill_null(False))
    if not bad.is_empty():
        raise ConfigError(
            f"table {_TRADES}: {bad.height} bad row(s), the first is {bad.row(0, named=True)}; a trade needs "
            "ts_ms, yes_price_usd of 0.01 to 0.99 in whole cents, count >= 1 and taker_side yes or no"
        )
    return trades


def _first_trades(trades: pl.DataFrame) -> dict[str, Nanos]:
    firsts = trades.group_by("market_ticker").agg(pl.col("ts_ms").min())
    return {ticker: ts_ms * MILLISECOND for ticker, ts_ms in firsts.iter_rows()}
