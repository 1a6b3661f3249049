"""Recorded events: markets as listed, and what they were determined to be.

Listing: at ``open_time_utc`` where known, else 14:00Z of the day before, or at the first trade if that
was earlier. Closing: ``close_time_utc`` where known, else the end of the climate day. Determination:
14:00Z the day after, by the venue's own ``result`` where known, else by ``result_from_nws``; payment an
hour later. Left out, counted and noted: markets without a strike type, and events with a market whose
result is not known. Markets older than the venue's records are known from their trades only, so a
bracket nobody traded is missing from such an event's ladder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from src.core.errors import ConfigError
from src.core.fees import FeeSchedule
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus, Strike, StrikeKind
from src.core.stations import Station, climate_day_bounds, utc_midnight
from src.core.units import DAY, DOLLAR_PRICE, HOUR, Nanos
from src.simulator.recorded_tables import RecordedTables, utc_nanos
from src.simulator.world import Determine, ListEvent

SETTLEMENT_TIMER_SECONDS = 3600
_TABLE = "kalshi_markets"
_LISTING_HOUR = 14
_DETERMINATION_HOUR = 14


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One event: its listing, and the determination of each of its markets."""

    iso_date: str
    listing: ListEvent
    determinations: tuple[Determine, ...]

    @property
    def tickers(self) -> tuple[str, ...]:
        """Its markets."""
        return tuple(market.ticker for market in self.listing.markets)


def load_events(
    tables: RecordedTables,
    stations: Sequence[Station],
    date_from: str,
    date_to: str,
    first_trades: Mapping[str, Nanos],
) -> tuple[list[RecordedEvent], tuple[str, ...]]:
    """Events in ``[date_from, date_to]`` by listing time, and one-line notes on what was left out.

    ``first_trades``: time of each market's first trade. Raises ``ConfigError`` for a series or a date
    range without any event.
    """
    wanted = {station.series_ticker: station for station in stations}
    in_series = pl.col("series_ticker").is_in(list(wanted))
    in_range = pl.col("event_date").is_between(pl.lit(date_from), pl.lit(date_to))
    rows = tables.collect(_TABLE, in_series & in_range)
    if rows.is_empty():
        raise ConfigError(_nothing_there(tables, list(wanted), date_from, date_to))
    events: list[RecordedEvent] = []
    without_strike: list[str] = []
    undecided: list[str] = []
    for group in rows.partition_by("event_ticker", maintain_order=True):
        markets = group.to_dicts()
        without_strike += [m["market_ticker"] for m in markets if m["strike_type"] is None]
        markets = [m for m in markets if m["strike_type"] is not None]
        if any(_result(m) is None for m in markets):
            undecided.append(str(group["event_ticker"][0]))
        elif markets:
            events.append(_event(markets, wanted[markets[0]["series_ticker"]], first_trades))
    notes = (
        *_note(without_strike, "market(s) without a strike type left out"),
        *_note(undecided, "event(s) without a known result left out"),
    )
    return sorted(events, key=lambda event: event.listing.ts), notes


def check_series(tables: RecordedTables, series: Sequence[str]) -> None:
    """Raise ``ConfigError``, listing the series in the data, if any of ``series`` is not among them."""
    present = set(tables.collect(_TABLE, pl.lit(True), ["series_ticker"])["series_ticker"].unique())
    unknown = [name for name in series if name not in present]
    if unknown or not series:
        raise ConfigError(
            f"series {', '.join(unknown) or '(none)'}: not in {tables.folder}; "
            f"choose from {', '.join(sorted(present))}"
        )


def _nothing_there(tables: RecordedTables, series: list[str], date_from: str, date_to: str) -> str:
    frame = tables.collect(_TABLE, pl.col("series_ticker").is_in(series), ["event_date"])
    dates = sorted(frame["event_date"].to_list())
    wanted = f"no event of {', '.join(series)} from {date_from} to {date_to}"
    return f"{wanted}; the data hold {dates[0]} to {dates[-1]}"


def _note(names: Sequence[str], what: str) -> tuple[str, ...]:
    if not names:
        return ()
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return (f"{len(names)} {what}: {shown}",)


def _result(row: Mapping[str, Any]) -> str | None:
    result: str | None = row["result"] if row["result"] is not None else row["result_from_nws"]
    if result is not None and result not in {"yes", "no"}:
        raise ConfigError(f"table {_TABLE}: {row['market_ticker']}: result {result!r} is neither yes nor no")
    return result


def _strike(row: Mapping[str, Any]) -> Strike:
    kind, floor, cap = row["strike_type"], row["floor_strike_f"], row["cap_strike_f"]
    if kind == "less" and cap is not None:
        return Strike(StrikeKind.LESS, cap=cap)
    if kind == "greater" and floor is not None:
        return Strike(StrikeKind.GREATER, floor=floor)
    if kind == "between" and floor is not None and cap is not None and floor <= cap:
        return Strike(StrikeKind.BETWEEN, floor, cap)
    raise ConfigError(
        f"table {_TABLE}: {row['market_ticker']}: strike_type {kind!r} with floor {floor} and cap {cap}; "
        "less needs a cap, greater a floor, between floor <= cap"
    )


def _event(
    rows: Sequence[Mapping[str, Any]], station: Station, first_trades: Mapping[str, Nanos]
) -> RecordedEvent:
    iso_date, event_ticker = rows[0]["event_date"], rows[0]["event_ticker"]
    midnight = utc_midnight(iso_date)
    markets: list[Market] = []
    for row in rows:
        opened, closed = row["open_time_utc"], row["close_time_utc"]
        open_time = midnight - DAY + _LISTING_HOUR * HOUR
        if opened is not None:
            open_time = utc_nanos(opened, _TABLE, "open_time_utc")
        close_time = climate_day_bounds(iso_date, station)[1]
        if closed is not None:
            close_time = utc_nanos(closed, _TABLE, "close_time_utc")
        markets.append(
            Market(
                ticker=row["market_ticker"],
                event_ticker=event_ticker,
                series_ticker=station.series_ticker,
                status=MarketStatus.INITIALIZED,
                open_time=min(open_time, first_trades.get(row["market_ticker"], open_time)),
                close_time=close_time,
                grid=LINEAR_CENT,
                fees=FeeSchedule(),
                strike=_strike(row),
                title=row["yes_sub_title"] or "",
                settlement_timer_seconds=SETTLEMENT_TIMER_SECONDS,
            )
        )
    listing = ListEvent(
        min(market.open_time for market in markets),
        event_ticker,
        station.series_ticker,
        f"Highest temperature in {station.city} on {iso_date}?",
        tuple(markets),
    )
    latest_close = max(market.close_time for market in markets)
    determined = max(midnight + DAY + _DETERMINATION_HOUR * HOUR, latest_close)
    return RecordedEvent(iso_date, listing, _determinations(rows, determined))


def _determinations(rows: Sequence[Mapping[str, Any]], ts: Nanos) -> tuple[Determine, ...]:
    settled = [row["expiration_value_f"] for row in rows if row["expiration_value_f"] is not None]
    measured = [row["nws_tmax_f"] for row in rows if row["nws_tmax_f"] is not None]
    values = settled or measured
    expiration_value = f"{values[0]:.2f}" if values else ""
    return tuple(
        Determine(
            ts,
            row["market_ticker"],
            result := "yes" if _result(row) == "yes" else "no",
            DOLLAR_PRICE if result == "yes" else 0,
            expiration_value,
        )
        for row in rows
    )
