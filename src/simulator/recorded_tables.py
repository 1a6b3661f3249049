"""The tables of recorded history, read with polars (parquet or CSV) one filtered slice at a time.

Each table is ``<name>.parquet`` or ``<name>.csv`` in one folder; of its columns only those that
``core.history_tables`` marks as read are, so post-outcome fields cannot leak into a decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import polars as pl

from src.core.errors import ConfigError
from src.core.history_tables import FORECASTS, HISTORY_TABLES, MARKETS, MAXIMA, TRADES, Kind
from src.core.units import SECOND, Nanos

_TYPES: Mapping[Kind, type[pl.DataType]] = MappingProxyType(
    {
        Kind.TEXT: pl.String,
        Kind.KEY: pl.String,
        Kind.LABEL: pl.Categorical,
        Kind.INT32: pl.Int64,
        Kind.INT64: pl.Int64,
        Kind.FLOAT32: pl.Float64,
        Kind.FLOAT64: pl.Float64,
    }
)
TABLES: Mapping[str, Mapping[str, type[pl.DataType]]] = MappingProxyType(
    {
        table: {name: _TYPES[each.kind] for name, each in HISTORY_TABLES[table].items() if each.is_read}
        for table in (TRADES, MARKETS, FORECASTS, MAXIMA)
    }
)


def holds_tables(folder: Path) -> bool:
    """Whether a folder holds any of the tables, and not just files of somebody's own."""
    return any((folder / f"{table}{suffix}").is_file() for table in TABLES for suffix in (".parquet", ".csv"))


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
