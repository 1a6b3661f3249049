"""One CSV or Parquet file of market data: which column is which, in which unit, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.core.errors import ConfigError

NAMES: dict[str, tuple[str, ...]] = {
    "timestamp": ("timestamp", "ts", "time", "datetime", "date", "created_time", "ts_ms", "ts_utc"),
    "ticker": ("ticker", "market_ticker", "market", "symbol"),
    "bid": ("bid", "yes_bid", "best_bid", "yes_bid_dollars"),
    "ask": ("ask", "yes_ask", "best_ask", "yes_ask_dollars"),
    "price": ("price", "yes_price", "yes_price_usd", "yes_price_dollars", "last", "last_price", "close"),
    "volume": ("volume", "count", "size", "quantity"),
    "bid_size": ("bid_size", "yes_bid_size"),
    "ask_size": ("ask_size", "yes_ask_size"),
    "taker_side": ("taker_side", "side"),
    "result": ("result", "outcome", "market_result"),
}
_SECONDS, _MILLIS, _MICROS = 10**11, 10**14, 10**17
_RESULTS = {
    "yes": "yes",
    "true": "yes",
    "1": "yes",
    "1.0": "yes",
    "no": "no",
    "false": "no",
    "0": "no",
    "0.0": "no",
}


@dataclass(frozen=True, slots=True)
class Columns:
    """The file in this system's units, sorted by time.

    ``frame``: ts (ns), ticker, and of bid, ask, price (1e-4 dollars), volume, bid_size, ask_size (0.01
    contract), taker_side (yes|no) and result (yes|no) what the file has. ``kind``: ``trades``, ``quotes``
    or ``prices``. ``read_as``: one line on what was recognised.
    """

    frame: pl.DataFrame
    kind: str
    read_as: str


def read_columns(path: Path) -> Columns:
    """Read a file. Raises ``ConfigError`` naming line, column and mend."""
    raw = _read(path)
    found = _recognise(raw, path)
    kind = "quotes" if "bid" in found else "trades" if "taker_side" in found else "prices"
    frame = raw.select(pl.col(column).alias(name) for name, column in found.items())
    stamps, unit = _timestamps(frame["timestamp"], path, found["timestamp"])
    columns = [stamps.alias("ts"), _text(frame["ticker"], path, found["ticker"])]
    prices: list[str] = [name for name in ("bid", "ask", "price") if name in found]
    scale, money = _scale(frame, prices)
    for name in prices:
        columns.append(_price(frame[name], scale, path, found[name], optional=name != "price"))
    for name in ("volume", "bid_size", "ask_size"):
        if name in found:
            columns.append(_size(frame[name], path, found[name]))
    for name in ("taker_side", "result"):
        if name in found:
            columns.append(_choice(frame[name], path, found[name], name))
    table = pl.DataFrame(columns).sort("ts", maintain_order=True)
    if kind == "quotes":
        _check_crossed(table, path)
    names = ", ".join(f"{name} from {column!r}" for name, column in found.items())
    return Columns(table, kind, f"{table.height} rows; {names}; times in {unit}, prices in {money}")


def _read(path: Path) -> pl.DataFrame:
    try:
        if path.suffix.lower() == ".parquet":
            frame = pl.read_parquet(path)
        elif path.suffix.lower() in {".csv", ".txt"}:
            frame = pl.read_csv(path, infer_schema=False)
        else:
            raise ConfigError(f"data: {path.name} is neither .csv nor .parquet; convert it to one of them")
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"data: {path} cannot be read ({reason}); save it again as CSV or Parquet"
        ) from error
    if frame.is_empty():
        raise ConfigError(f"data: {path} has no rows below its header")
    return frame


def _recognise(frame: pl.DataFrame, path: Path) -> dict[str, str]:
    by_lower = {column.strip().lower(): column for column in frame.columns}
    found = {
        name: by_lower[candidate]
        for name, candidates in NAMES.items()
        if (candidate := next((c for c in candidates if c in by_lower), None)) is not None
    }
    missing = [name for name in ("timestamp", "ticker") if name not in found]
    if not missing and not ({"bid", "ask"} <= found.keys() or "price" in found):
        missing = ["price (or bid and ask)"]
    if missing:
        accepted = "; ".join(f"{name}: {', '.join(NAMES[name])}" for name in NAMES)
        raise ConfigError(
            f"data: {path} lacks the column(s) {', '.join(missing)}; it has {', '.join(frame.columns)}. "
            f"Accepted names are {accepted}"
        )
    if not {"bid", "ask"} <= found.keys():
        found = {name: column for name, column in found.items() if name not in {"bid", "ask"}}
    else:
        found = {name: column for name, column in found.items() if name not in {"price", "taker_side"}}
    return found


def _refuse(path: Path, column: str, bad: pl.Series, values: pl.Series, mend: str) -> ConfigError:
    row = int(bad.arg_true()[0])
    return ConfigError(
        f"data: {path} line {row + 2}, column {column!r}: {values[row]!r}; {mend} ({bad.sum()} such row(s))"
    )


def _timestamps(values: pl.Series, path: Path, column: str) -> tuple[pl.Series, str]:
    if isinstance(values.dtype, pl.Datetime | pl.Date):
        zoned = values.cast(pl.Datetime("ns"))
        return zoned.cast(pl.Int64), "datetimes (UTC)"
    numbers = values.cast(pl.Float64, strict=False)
    if numbers.null_count() == 0:
        largest = float(numbers.max())  # type: ignore[arg-type]
        for limit, factor, unit in (
            (_SECONDS, 10**9, "seconds"),
            (_MILLIS, 10**6, "milliseconds"),
            (_MICROS, 10**3, "microseconds"),
        ):
            if largest < limit:
                return (numbers * factor).round(0).cast(pl.Int64), unit
        return values.cast(pl.Int64), "nanoseconds"
    text = values.cast(pl.String).str.strip_chars()
    no_zone = text.str.contains(r"(Z|[+-]\d\d:?\d\d)$").not_().fill_null(True)
    mend = "write ISO times with a zone, e.g. 2024-10-01T14:00:00Z, or Unix seconds or milliseconds"
    if no_zone.any():
        raise _refuse(path, column, no_zone, values, mend)
    parsed = text.str.replace(" ", "T").str.to_datetime(time_unit="ns", time_zone="UTC", strict=False)
    if parsed.null_count():
        raise _refuse(path, column, parsed.is_null(), values, mend)
    return parsed.cast(pl.Int64), "ISO text"


def _text(values: pl.Series, path: Path, column: str) -> pl.Series:
    text = values.cast(pl.String).str.strip_chars()
    bad = text.is_null() | (text == "")
    if bad.any():
        raise _refuse(path, column, bad, values, "every row needs its market's ticker")
    return text.alias("ticker")


def _scale(frame: pl.DataFrame, prices: list[str]) -> tuple[int, str]:
    """Factor to 1e-4 dollars. Anything above 1 means cents: no contract costs more than a dollar."""
    largest = max((frame[name].cast(pl.Float64, strict=False).max() or 0.0) for name in prices)
    return (100, "cents") if float(largest) > 1.0 else (10_000, "dollars")  # type: ignore[arg-type]


def _price(values: pl.Series, scale: int, path: Path, column: str, *, optional: bool) -> pl.Series:
    name = values.name
    number = _number(values, path, column, optional=optional)
    exact = number * scale
    low, high = (0, 10_000) if optional else (1, 9_999)
    bad = ((exact - exact.round(0)).abs() > 1e-6) | (exact < low) | (exact > high)
    bad = bad.fill_null(False)
    if bad.any():
        mend = "a price is from 0 to 1 dollar (or 0 to 100 cents) in steps of 0.0001 dollars"
        raise _refuse(path, column, bad, values, mend)
    whole = exact.round(0).cast(pl.Int64)
    # 0 bid and 1 dollar ask are how files write "nobody there".
    nobody = (whole == 0) | (whole == 10_000)
    return pl.select(pl.when(nobody).then(None).otherwise(whole).alias(name)).to_series()


def _number(values: pl.Series, path: Path, column: str, *, optional: bool) -> pl.Series:
    text = values.cast(pl.String).str.strip_chars()
    empty = text.is_null() | (text == "")
    number = values.cast(pl.Float64, strict=False)
    bad = number.is_null() & ~empty if optional else number.is_null()
    if bad.any():
        raise _refuse(path, column, bad, values, "write a plain number")
    return number


def _size(values: pl.Series, path: Path, column: str) -> pl.Series:
    number = _number(values, path, column, optional=False)
    bad = number < 0
    if bad.any():
        raise _refuse(path, column, bad, values, "a number of contracts is zero or more")
    return (number * 100).round(0).cast(pl.Int64).alias(values.name)


def _choice(values: pl.Series, path: Path, column: str, name: str) -> pl.Series:
    text = values.cast(pl.String).str.strip_chars().str.to_lowercase()
    known = text.replace_strict(_RESULTS, default=None)
    empty = text.is_null() | (text == "")
    bad = known.is_null() & ~empty if name == "result" else known.is_null()
    if bad.any():
        mend = "result is yes or no, empty while not known" if name == "result" else "taker_side is yes or no"
        raise _refuse(path, column, bad, values, mend)
    return known.alias(name)


def _check_crossed(table: pl.DataFrame, path: Path) -> None:
    crossed = (table["bid"] >= table["ask"]).fill_null(False)
    if crossed.any():
        first = table.row(int(crossed.arg_true()[0]), named=True)
        raise ConfigError(
            f"data: {path}: bid {first['bid'] / 10_000} is not below ask {first['ask'] / 10_000} for "
            f"{first['ticker']} ({crossed.sum()} such row(s)); remove or repair them"
        )
