"""Recorded forecasts and daily maxima, each at the time it could have been known.

A forecast becomes public at the table's ``known_at_utc``. A final daily maximum becomes public at 13:00Z
the day after its climate day; where several sources give it, the one that settled the markets is
preferred (``nws_cli``, then ``noaa_lcd``, then ``acis``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TypeAlias

import polars as pl

from src.core.errors import ConfigError
from src.core.events import DailyMaximum, ForecastUpdate
from src.core.stations import Station, utc_midnight
from src.core.units import DAY, HOUR
from src.simulator.recorded_tables import RecordedTables, utc_nanos

WeatherRecord: TypeAlias = ForecastUpdate | DailyMaximum

_FINAL_HOUR = 13
_SOURCES = ("nws_cli", "noaa_lcd", "acis")


def weather_records(
    tables: RecordedTables, stations: Sequence[Station], date_from: str, date_to: str
) -> list[WeatherRecord]:
    """Forecasts for, and final maxima of, the climate days in ``[date_from, date_to]``, as known.

    Only rows of the station a series settles on count.
    """
    by_series = {station.series_ticker: station for station in stations}
    records: list[WeatherRecord] = [
        *_forecasts(tables, by_series, date_from, date_to),
        *_finals(tables, by_series, date_from, date_to),
    ]
    return sorted(records, key=attrgetter("ts_recv", "station"))


def _where(by_series: Mapping[str, Station], date_column: str, date_from: str, date_to: str) -> pl.Expr:
    matches = pl.any_horizontal(
        (pl.col("series_ticker") == series) & (pl.col("station") == station.icao)
        for series, station in by_series.items()
    )
    return matches & pl.col(date_column).is_between(pl.lit(date_from), pl.lit(date_to))


def _forecasts(
    tables: RecordedTables, by_series: Mapping[str, Station], date_from: str, date_to: str
) -> Iterator[ForecastUpdate]:
    table = "forecasts_daily_max"
    rows = tables.collect(table, _where(by_series, "target_date", date_from, date_to))
    for row in rows.iter_rows(named=True):
        if row["tmax_f"] is None or row["lead_days"] is None or row["model"] is None:
            raise ConfigError(
                f"table {table}: the row for {row['station']} {row['target_date']} lacks model, lead_days "
                "or tmax_f; remove the row or fill it in"
            )
        known = utc_nanos(row["known_at_utc"], table, "known_at_utc")
        run = row["run_asof_utc"]
        yield ForecastUpdate(
            series_ticker=row["series_ticker"],
            station=row["station"],
            target_date=row["target_date"],
            source=row["model"],
            lead_days=row["lead_days"],
            tmax_f=row["tmax_f"],
            issued_ts=known if run is None else utc_nanos(run, table, "run_asof_utc"),
            ts_event=known,
            ts_recv=known,
        )


def _finals(
    tables: RecordedTables, by_series: Mapping[str, Station], date_from: str, date_to: str
) -> Iterator[DailyMaximum]:
    rank = pl.col("source").replace_strict({s: n for n, s in enumerate(_SOURCES)}, default=len(_SOURCES))
    rows = (
        tables.collect("nws_daily_max", _where(by_series, "date", date_from, date_to))
        .filter(pl.col("tmax_f").is_not_null())
        .sort(rank, maintain_order=True)
        .unique(subset=["series_ticker", "date"], keep="first", maintain_order=True)
    )
    for row in rows.iter_rows(named=True):
        known = utc_midnight(row["date"]) + DAY + _FINAL_HOUR * HOUR
        yield DailyMaximum(
            row["series_ticker"],
            row["station"],
            row["date"],
            round(row["tmax_f"]),
            True,
            ts_event=known,
            ts_recv=known,
        )
