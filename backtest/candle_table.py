"""A table of candles as rows: which column is which, in which unit, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.core.errors import ConfigError
from src.core.units import CENT_PRICE, DOLLAR_PRICE, MILLISECOND, ONE_CONTRACT, SECOND, Count, Nanos, Price

TABLE = "kalshi_candles"
_ENDS = {"end_ts_ms": MILLISECOND, "end_period_ts": SECOND, "end_ts": SECOND}
_TICKERS = ("market_ticker", "ticker")
_PRICES = ("yes_bid_close", "yes_ask_close", "yes_bid_high", "yes_ask_low")
_VOLUMES = ("volume_contracts", "volume_fp", "volume")
_CARRIED = "price_close_is_carried_forward"


@dataclass(frozen=True, slots=True)
class Candle:
    """Prices in 1e-4 dollars, None for nobody; ``volume`` in 0.01 contract."""

    ts: Nanos
    ticker: str
    bid: Price | None
    ask: Price | None
    highest_bid: Price | None
    lowest_ask: Price | None
    volume: Count
    is_carried: bool


def holds_candles(path: Path) -> bool:
    """Whether a file (by its columns) or a folder (a table of candles, none of trades) is one of candles."""
    if path.is_dir():
        has = {name: table_in(path, name) is not None for name in (TABLE, "kalshi_trades")}
        return has[TABLE] and not has["kalshi_trades"]
    try:
        columns = _scan(path).collect_schema().names()
    except (pl.exceptions.PolarsError, OSError):
        return False
    return any(end in columns for end in _ENDS) and any(c.startswith("yes_ask_close") for c in columns)


def _scan(path: Path) -> pl.LazyFrame:
    if path.suffix.lower() == ".parquet":
        return pl.scan_parquet(path)
    return pl.scan_csv(path, infer_schema=False)


def table_in(folder: Path, name: str) -> Path | None:
    """A folder's table of this name, as Parquet or CSV."""
    return next((p for p in (folder / f"{name}.parquet", folder / f"{name}.csv") if p.is_file()), None)


def read_candles(path: Path) -> Iterator[Candle]:
    """The candles of a table, in its order. Raises ``ConfigError`` naming line, column and mend."""
    frame = _scan(path).collect()
    if frame.is_empty():
        raise ConfigError(f"data: {path} has no rows below its header")
    names = frame.columns
    end = _required(names, tuple(_ENDS), path)
    ticker = _required(names, _TICKERS, path)
    volume = _required(names, _VOLUMES, path)
    found: dict[str, str] = {}
    for name in _PRICES:
        spellings = (f"{name}_usd", f"{name}_dollars", name)
        if name.endswith("close"):
            found[name] = _required(names, spellings, path)
        elif (column := next((c for c in spellings if c in names), None)) is not None:
            found[name] = column
    columns = [
        (_numbers(frame[end], path, end, optional=False) * _ENDS[end]).cast(pl.Int64),
        frame[ticker].cast(pl.String),
        *(
            _cents(frame[found[name]], path, found[name])
            if name in found
            else pl.Series([None] * frame.height, dtype=pl.Int64)
            for name in _PRICES
        ),
        (_numbers(frame[volume], path, volume, optional=True).fill_null(0.0) * ONE_CONTRACT)
        .round(0)
        .cast(pl.Int64),
        _flags(frame),
    ]
    for row, values in enumerate(zip(*(column.to_list() for column in columns), strict=True)):
        ts, market, bid, ask, high, low, traded, carried = values
        if market is None or market == "":
            raise ConfigError(
                f"data: {path} line {row + 2}, column {ticker!r}: every candle needs its market"
            )
        if bid is not None and ask is not None and bid >= ask:
            raise ConfigError(
                f"data: {path} line {row + 2}: the bid {bid / DOLLAR_PRICE} is not below the ask "
                f"{ask / DOLLAR_PRICE}; remove or repair the candle"
            )
        yield Candle(ts, market, bid, ask, high, low, traded, carried)


def _required(names: list[str], wanted: tuple[str, ...], path: Path) -> str:
    found = next((name for name in wanted if name in names), None)
    if found is None:
        raise ConfigError(f"data: {path} lacks the column {' or '.join(wanted)}; it has {', '.join(names)}")
    return found


def _numbers(values: pl.Series, path: Path, column: str, *, optional: bool) -> pl.Series:
    text = values.cast(pl.String).str.strip_chars()
    empty = text.is_null() | (text == "")
    number = values.cast(pl.Float64, strict=False)
    bad = number.is_null() & ~empty if optional else number.is_null()
    if bad.any():
        row = int(bad.arg_true()[0])
        raise ConfigError(
            f"data: {path} line {row + 2}, column {column!r}: {values[row]!r}; write a plain number "
            f"({bad.sum()} such row(s))"
        )
    return number


def _cents(values: pl.Series, path: Path, column: str) -> pl.Series:
    """A column of prices in 1e-4 dollars; 0 and 1 dollar are how candles write "nobody there"."""
    number = _numbers(values, path, column, optional=True)
    largest = number.max()
    in_cents = isinstance(largest, int | float) and largest > 1.0
    exact = (number * (CENT_PRICE if in_cents else DOLLAR_PRICE)).round(0)
    bad = ((exact < 0) | (exact > DOLLAR_PRICE)).fill_null(False)
    if bad.any():
        row = int(bad.arg_true()[0])
        raise ConfigError(
            f"data: {path} line {row + 2}, column {column!r}: {values[row]!r}; a price is from 0 to 1 dollar "
            f"(or 0 to 100 cents) ({bad.sum()} such row(s))"
        )
    nobody = (exact == 0) | (exact == DOLLAR_PRICE)
    return pl.select(pl.when(nobody).then(None).otherwise(exact.cast(pl.Int64))).to_series()


def _flags(frame: pl.DataFrame) -> pl.Series:
    if _CARRIED not in frame.columns:
        return pl.Series([False] * frame.height)
    return frame[_CARRIED].cast(pl.String).str.to_lowercase().is_in(["true", "1"]).fill_null(False)


def _beside(file: Path, name: str, columns: list[str]) -> list[tuple[str, ...]]:
    """Rows of a table in the same folder; empty when there is none with these columns."""
    table = table_in(file.parent, name)
    if table is None:
        return []
    frame = _scan(table)
    if not set(columns) <= set(frame.collect_schema().names()):
        return []
    return frame.select(pl.col(column).cast(pl.String) for column in columns).drop_nulls().collect().rows()


def results_beside(file: Path) -> dict[str, str]:
    """Results by market: a ``result`` column, or the tables of markets and settlements beside the file."""
    rows: list[tuple[str, ...]] = []
    names = _scan(file).collect_schema().names()
    ticker = next((name for name in _TICKERS if name in names), None)
    if ticker is not None and "result" in names:
        rows += (
            _scan(file).select(pl.col(ticker), pl.col("result").cast(pl.String)).drop_nulls().collect().rows()
        )
    for name in ("kalshi_settlements", "kalshi_markets"):
        rows += _beside(file, name, ["market_ticker", "result"])
    return {row[0]: row[1].lower() for row in rows if row[1].lower() in {"yes", "no"}}


def events_beside(file: Path) -> dict[str, str]:
    """Events by market, from the table of markets beside the file."""
    return {row[0]: row[1] for row in _beside(file, "kalshi_markets", ["market_ticker", "event_ticker"])}
