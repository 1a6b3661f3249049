"""The tables of recorded history, read with polars (parquet or CSV) one filtered slice at a time.

Each table is ``<name>.parquet`` or ``<name>.csv`` in one folder; columns beyond the ones listed here are
not read, so post-outcome fields (last price, volume, open interest) cannot leak into a decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import polars as pl

from src.core.errors import ConfigError
from src.core.units import SECOND, Nanos

_Columns: TypeAlias = Mapping[str, type[pl.DataType]]

TABLES: Mapping[str, _Columns] = MappingProxyType(
    {
        "kalshi_trades": {
            "series_ticker": pl.String,
            "event_date": pl.String,
            "market_ticker": pl.Categorical,
            "ts_ms": pl.Int64,
            "yes_price_usd": pl.Float64,
            "count": pl.Int64,
            "taker_side": pl.Categorical,
        },
        "kalshi_markets": {
            "series_ticker": pl.String,
            "event_ticker": pl.String,
            "market_ticker": pl.String,
            "event_date": pl.String,
            "yes_sub_title": pl.String,
            "strike_type": pl.String,
            "floor_strike_f": pl.Float64,
            "cap_strike_f": pl.Float64,
            "open_time_utc": pl.String,
            "close_time_utc": pl.String,
            "result": pl.String,
            "expiration_value_f": pl.Float64,
            "nws_tmax_f": pl.Float64,
            "result_from_nws": pl.String,
        },
        "forecasts_daily_max": {
            "series_ticker": pl.String,
            "station": pl.String,
            "target_date": pl.String,
            "model": pl.String,
            "lead_days": pl.Float64,
            "run_asof_utc": pl.String,
            "known_at_utc": pl.String,
            "tmax_f": pl.Float64,
        },
        "nws_daily_max": {
            "series_ticker": pl.String,
            "station": pl.String,
            "date": pl.String,
            "tmax_f": pl.Float64,
            "source": pl.String,
        },
    }
)


@dataclass(frozen=True, slots=True)
class RecordedTables:
    """A folder with the four tables. Raises ``ConfigError`` naming folder, table and mend."""

    folder: Path

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise ConfigError(
                f"data folder {self.folder} does not exist; give the folder that holds {', '.join(TABLES)} "
                "as .parquet or .csv files"
            )
        for table in TABLES:
            self._scan(table)

    def collect(self, table: str, where: pl.Expr, columns: Sequence[str] = ()) -> pl.DataFrame:
        """The rows that satisfy ``where`` (pushed down to the file), in the file's order."""
        kept = columns or tuple(TABLES[table])
        try:
            return self._scan(table).filter(where).select(kept).collect()
        except pl.exceptions.PolarsError as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(
                f"table {table} in {self.folder} cannot be read ({reason}); replace the damaged file"
            ) from error

    def _scan(self, table: str) -> pl.LazyFrame:
        types = TABLES[table]
        parquet, csv = self.folder / f"{table}.parquet", self.folder / f"{table}.csv"
        if parquet.is_file():
            frame, path = pl.scan_parquet(parquet), parquet
        elif csv.is_file():
            frame, path = pl.scan_csv(csv, infer_schema=False), csv
        else:
            raise ConfigError(
                f"table {table} is missing from {self.folder}; put {parquet.name} or {csv.name} there"
            )
        try:
            present = frame.collect_schema().names()
        except pl.exceptions.PolarsError as error:
            raise ConfigError(
                f"table {path} is not a readable table ({str(error).splitlines()[0]}); replace the file"
            ) from error
        missing = [column for column in types if column not in present]
        if missing:
            raise ConfigError(f"table {path} lacks the column(s) {', '.join(missing)}; add them to the file")
        return frame.select(pl.col(column).cast(kind) for column, kind in types.items())


def utc_nanos(text: str, table: str, column: str) -> Nanos:
    """``2024-10-01T14:00:00Z`` in nanoseconds. Raises ``ConfigError`` naming table and column."""
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"table {table}, column {column}: {text!r} is not an ISO time with Z") from error
    if moment.tzinfo is None:
        raise ConfigError(f"table {table}, column {column}: {text!r} has no time zone; append Z")
    return int(moment.timestamp()) * SECOND
