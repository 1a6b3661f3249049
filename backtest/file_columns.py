"""One table of market data: which column is which, in which unit, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
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
_PRICES = ("bid", "ask", "price")
_SECONDS, _MILLIS, _MICROS = 10**11, 10**14, 10**17
# The physical value of a choice says whether it is yes.
CHOICE = pl.Enum(["no", "yes"])
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
class Layout:
    """How a table says what it says. ``found``: our names to its columns.

    ``kind``: ``trades``, ``quotes`` or ``prices``. ``time_factor``: nanoseconds in a unit of a numeric time,
    0 for text or datetimes. ``price_scale``: 1e-4 dollars in a unit of a price.
    """

    found: dict[str, str]
    kind: str
    time_factor: int
    price_scale: int
    read_as: str


def layout_of(table: pl.LazyFrame, where: Path) -> Layout:
    """Recognise the columns and units of a table by its names and its largest values.

    Raises ``ConfigError`` when a needed column is missing or there are no rows.
    """
    schema = table.collect_schema()
    found = _recognise(schema.names(), where)
    kind = "quotes" if "bid" in found else "trades" if "taker_side" in found else "prices"
    times = found["timestamp"]
    prices = [name for name in _PRICES if name in found]
    is_datetime = isinstance(schema[times], pl.Datetime | pl.Date)
    number = pl.col(times).cast(pl.Float64, strict=False)
    largest = table.select(
        pl.len().alias("rows"),
        # A number in a timestamp of text, too; one row that is none makes it text.
        *(() if is_datetime else (number.max().alias("time"), number.null_count().alias("words"))),
        *(pl.col(found[name]).cast(pl.Float64, strict=False).max().alias(name) for name in prices),
    ).collect(engine="streaming")
    values = largest.row(0, named=True)
    if not values["rows"]:
        raise ConfigError(f"data: {where} has no rows below its header")
    factor, unit = 0, "datetimes (UTC)" if is_datetime else "ISO text"
    if not is_datetime and not values["words"]:
        factor, unit = _unit_of(values["time"])
    # Anything above 1 means cents: no contract costs more than a dollar.
    cents = max(values[name] or 0.0 for name in prices) > 1.0
    names = ", ".join(f"{name} from {column!r}" for name, column in found.items())
    money = "cents" if cents else "dollars"
    read_as = f"{values['rows']} rows; {names}; times in {unit}, prices in {money}"
    return Layout(found, kind, factor, 100 if cents else 10_000, read_as)


@dataclass(frozen=True, slots=True)
class Slice:
    """Consecutive rows of a file as they stand in it, the first of them at ``line``."""

    table: pl.DataFrame
    path: Path
    line: int

    def refuse(self, column: str, bad: pl.Series, mend: str) -> ConfigError:
        """The error for the first row that is ``bad``."""
        row = int(bad.arg_true()[0])
        values = self.table[column]
        return ConfigError(
            f"data: {self.path} line {self.line + row}, column {column!r}: {values[row]!r}; {mend} "
            f"({bad.sum()} such row(s))"
        )


def normalise(rows: Slice, layout: Layout, names: Sequence[str]) -> pl.DataFrame:
    """Rows in this system's units and in their own order; ``names``: which of our columns to make.

    Columns: ts (ns), ticker, and of bid, ask, price (1e-4 dollars), volume, bid_size, ask_size (0.01
    contract), taker_side (yes|no) and result (yes|no) what the table has. Raises ``ConfigError`` naming
    line, column and mend.
    """
    found = {name: layout.found[name] for name in names}
    columns = [_timestamps(rows, layout).alias("ts"), _text(rows, found["ticker"])]
    for name in _PRICES:
        if name in found:
            optional = name != "price"
            columns.append(_price(rows, layout.price_scale, found[name], optional=optional).alias(name))
    for name in ("volume", "bid_size", "ask_size"):
        if name in found:
            columns.append(_size(rows, found[name]).alias(name))
    for name in ("taker_side", "result"):
        if name in found:
            columns.append(_choice(rows, found[name], name).alias(name))
    table = pl.DataFrame(columns)
    if layout.kind == "quotes":
        _check_crossed(table, rows)
    return table


def _recognise(names: Sequence[str], where: Path) -> dict[str, str]:
    by_lower = {column.strip().lower(): column for column in names}
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
            f"data: {where} lacks the column(s) {', '.join(missing)}; it has {', '.join(names)}. "
            f"Accepted names are {accepted}"
        )
    if not {"bid", "ask"} <= found.keys():
        return {name: column for name, column in found.items() if name not in {"bid", "ask"}}
    return {name: column for name, column in found.items() if name not in {"price", "taker_side"}}


def _unit_of(largest: float) -> tuple[int, str]:
    for limit, factor, unit in (
        (_SECONDS, 10**9, "seconds"),
        (_MILLIS, 10**6, "milliseconds"),
        (_MICROS, 10**3, "microseconds"),
    ):
        if largest < limit:
            return factor, unit
    return 1, "nanoseconds"


def _timestamps(rows: Slice, layout: Layout) -> pl.Series:
    column = layout.found["timestamp"]
    values = rows.table[column]
    if isinstance(values.dtype, pl.Datetime | pl.Date):
        if values.null_count():
            raise rows.refuse(column, values.is_null(), "every row needs its time")
        return values.cast(pl.Datetime("ns")).cast(pl.Int64)
    if layout.time_factor:
        whole = values.cast(pl.Int64, strict=False)
        if values.dtype.is_integer() or not whole.null_count():
            # Integers stay integers: a float holds nanoseconds of today to a quarter of a microsecond only.
            return whole * layout.time_factor
        return (values.cast(pl.Float64) * layout.time_factor).round(0).cast(pl.Int64)
    text = values.cast(pl.String).str.strip_chars()
    no_zone = text.str.contains(r"(Z|[+-]\d\d:?\d\d)$").not_().fill_null(True)
    mend = "write ISO times with a zone, e.g. 2024-10-01T14:00:00Z, or Unix seconds or milliseconds"
    if no_zone.any():
        raise rows.refuse(column, no_zone, mend)
    parsed = text.str.replace(" ", "T").str.to_datetime(time_unit="ns", time_zone="UTC", strict=False)
    if parsed.null_count():
        raise rows.refuse(column, parsed.is_null(), mend)
    return parsed.cast(pl.Int64)


def _text(rows: Slice, column: str) -> pl.Series:
    values = rows.table[column]
    is_coded = isinstance(values.dtype, pl.Categorical | pl.Enum)
    text = values if is_coded else values.cast(pl.String).str.strip_chars()
    bad = text.is_null() if is_coded else text.is_null() | (text == "")
    if bad.any():
        raise rows.refuse(column, bad, "every row needs its market's ticker")
    return text.alias("ticker")


def _price(rows: Slice, scale: int, column: str, *, optional: bool) -> pl.Series:
    values = rows.table[column]
    low, high = (0, 10_000) if optional else (1, 9_999)
    mend = "a price is from 0 to 1 dollar (or 0 to 100 cents) in steps of 0.0001 dollars"
    if values.dtype.is_integer() and not values.null_count():
        whole = values.cast(pl.Int64) * scale
        bad = (whole < low) | (whole > high)
    else:
        exact = _number(rows, column, optional=optional) * scale
        bad = (((exact - exact.round(0)).abs() > 1e-6) | (exact < low) | (exact > high)).fill_null(False)
        whole = exact.round(0).cast(pl.Int64, strict=False)
    if bad.any():
        raise rows.refuse(column, bad, mend)
    if not optional:
        return whole
    # 0 bid and 1 dollar ask are how files write "nobody there".
    nobody = (whole == 0) | (whole == 10_000)
    return pl.select(pl.when(nobody).then(None).otherwise(whole)).to_series()


def _number(rows: Slice, column: str, *, optional: bool) -> pl.Series:
    values = rows.table[column]
    number = values.cast(pl.Float64, strict=False)
    bad = number.is_null()
    if optional and bad.any():
        text = values.cast(pl.String).str.strip_chars()
        bad &= ~(text.is_null() | (text == ""))
    if bad.any():
        raise rows.refuse(column, bad, "write a plain number")
    return number


def _size(rows: Slice, column: str) -> pl.Series:
    values = rows.table[column]
    if values.dtype.is_integer() and not values.null_count():
        count = values.cast(pl.Int64) * 100
    else:
        count = (_number(rows, column, optional=False) * 100).round(0).cast(pl.Int64)
    bad = count < 0
    if bad.any():
        raise rows.refuse(column, bad, "a number of contracts is zero or more")
    return count


def _choice(rows: Slice, column: str, name: str) -> pl.Series:
    values = rows.table[column]
    # A dictionary's few texts are read once each, not once a row.
    texts = values.dtype.categories if isinstance(values.dtype, pl.Enum) else values
    text = texts.cast(pl.String).str.strip_chars().str.to_lowercase()
    known = text.replace_strict(_RESULTS, default=None, return_dtype=CHOICE)
    empty = text.is_null() | (text == "")
    if isinstance(values.dtype, pl.Enum):
        codes = values.to_physical()
        known, empty = known.gather(codes), empty.gather(codes).fill_null(True)
    bad = known.is_null() & ~empty if name == "result" else known.is_null()
    if bad.any():
        mend = "result is yes or no, empty while not known" if name == "result" else "taker_side is yes or no"
        raise rows.refuse(column, bad, mend)
    return known


def _check_crossed(table: pl.DataFrame, rows: Slice) -> None:
    crossed = (table["bid"] >= table["ask"]).fill_null(False)
    if crossed.any():
        number = int(crossed.arg_true()[0])
        first = table.row(number, named=True)
        raise ConfigError(
            f"data: {rows.path} line {rows.line + number}: bid {first['bid'] / 10_000} is not below ask "
            f"{first['ask'] / 10_000} for {first['ticker']} ({crossed.sum()} such row(s)); "
            "remove or repair them"
        )
