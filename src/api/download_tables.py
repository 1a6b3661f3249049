"""Downloaded parts as tables that the recorded world and the backtester read.

Columns, types and sorting are those of ``docs/DATA.md``. What a table cannot hold is left out and counted:
block trades (agreed outside the book), trades at a fraction of a cent, trades below one contract.
Fractions of a contract beyond the first are rounded down and counted too.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import polars as pl

from src.api.candles import Ohlc
from src.api.convert import nanos, plain_count
from src.api.download_parts import Part
from src.api.history import PastMarketBody
from src.api.schema import Time
from src.core.errors import WireError
from src.core.history_tables import CANDLES, HISTORY_TABLES, MARKETS, MAXIMA, SETTLEMENTS, TRADES, Kind
from src.core.stations import STATIONS
from src.core.units import CENT_PRICE, DOLLAR_PRICE, MILLISECOND, ONE_CONTRACT, parse_count, parse_price

TableFormat = Literal["parquet", "csv"]
_TYPES: Mapping[Kind, Any] = MappingProxyType(
    {
        Kind.TEXT: pl.String,
        Kind.KEY: pl.Categorical,
        Kind.LABEL: pl.Categorical,
        Kind.INT32: pl.Int32,
        Kind.INT64: pl.Int64,
        Kind.FLOAT32: pl.Float32,
        Kind.FLOAT64: pl.Float64,
    }
)
SCHEMAS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        table: {name: _TYPES[each.kind] for name, each in columns.items()}
        for table, columns in HISTORY_TABLES.items()
    }
)
_TAKERS = {"bid": "yes", "ask": "no"}
_STATION_OF = {station.series_ticker: station.icao for station in STATIONS}


@dataclass(slots=True)
class Tables:
    """Frames by table name, and what was left out of them, by reason."""

    frames: dict[str, pl.DataFrame] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def build_tables(parts: Iterable[Part]) -> Tables:
    """Every table from parts that come by series, then event day. Raises ``WireError`` naming the field."""
    tables = Tables()
    trades: list[pl.DataFrame] = []
    candles = [pl.DataFrame(schema=SCHEMAS[CANDLES])]
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SCHEMAS}
    for part in parts:
        named = {
            "series_ticker": part.head.series_ticker,
            "event_date": part.head.event_date,
            "market_ticker": part.head.ticker,
        }
        trades.append(_trades(part, named, tables.left_out))
        rows[MARKETS].append(named | _market(part.market.body))
        if part.market.body.result:
            rows[SETTLEMENTS].append(named | _settlement(part.market.body))
        if part.candles:
            candles.append(pl.DataFrame([named | row for row in _candles(part)], schema=SCHEMAS[CANDLES]))
    rows[MAXIMA] = _maxima(rows[SETTLEMENTS], tables.left_out)
    for name, columns in SCHEMAS.items():
        tables.frames[name] = pl.DataFrame(rows[name], schema=columns)
    tables.frames[CANDLES] = pl.concat(candles)
    if trades:
        by_time = pl.concat(trades).sort(["series_ticker", "event_date", "micros"], maintain_order=True)
        tables.frames[TRADES] = by_time.select(
            pl.col(name).cast(kind) for name, kind in SCHEMAS[TRADES].items()
        )
    return tables


def write_table(frame: pl.DataFrame, folder: Path, name: str, table_format: TableFormat) -> dict[str, Any]:
    """Write a table in one step; returns its line of the manifest. Raises ``OSError``."""
    path = folder / f"{name}.{table_format}"
    partial = path.with_name(path.name + ".partial")
    if table_format == "parquet":
        frame.write_parquet(partial)
    else:
        frame.write_csv(partial)
    digest = sha256_of(partial)
    partial.replace(path)
    return {"file": path.name, "rows": frame.height, "sha256": digest, "columns": frame.columns}


def sha256_of(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _trades(part: Part, named: dict[str, str], left_out: Counter[str]) -> pl.DataFrame:
    micros: list[int] = []
    prices: list[float] = []
    counts: list[int] = []
    takers: list[str] = []
    for trade in part.trades:
        price = parse_price(trade.yes_price_dollars, "yes_price_dollars")
        contracts, fraction = divmod(plain_count(trade.count_fp, "count_fp"), ONE_CONTRACT)
        if trade.is_block_trade:
            left_out["block trades"] += 1
        elif price % CENT_PRICE:
            left_out["trades at a fraction of a cent"] += 1
        elif not contracts:
            left_out["trades below one contract"] += 1
        else:
            left_out["trades rounded down to whole contracts"] += fraction > 0
            micros.append(nanos(trade.created_time) // 1_000)
            prices.append(price // CENT_PRICE / 100)
            counts.append(contracts)
            takers.append(_TAKERS[trade.taker_book_side])
    return pl.DataFrame(
        {
            "micros": pl.Series(micros, dtype=pl.Int64),
            "yes_price_usd": pl.Series(prices, dtype=pl.Float64),
            "count": pl.Series(counts, dtype=pl.Int64),
            "taker_side": pl.Series(takers, dtype=pl.String),
        }
    ).with_columns((pl.col("micros") // 1_000).alias("ts_ms"), **{k: pl.lit(v) for k, v in named.items()})


def _market(body: PastMarketBody) -> dict[str, Any]:
    return {
        "event_ticker": body.event_ticker,
        "yes_sub_title": body.yes_sub_title,
        "strike_type": body.strike_type or None,
        "floor_strike_f": body.floor_strike,
        "cap_strike_f": body.cap_strike,
        "open_time_utc": _utc(body.open_time),
        "close_time_utc": _utc(body.close_time),
        "status": body.status,
        "result": body.result if body.result in {"yes", "no"} else None,
        "expiration_value_f": _number(body.expiration_value),
        "volume_contracts": _contracts(body.volume_fp, "volume_fp"),
        "open_interest_contracts": _contracts(body.open_interest_fp, "open_interest_fp"),
        "last_price_usd": _dollars(body.last_price_dollars, "last_price_dollars"),
        "metadata_source": "kalshi_api",
        "nws_tmax_f": None,
        "result_from_nws": None,
    }


def _settlement(body: PastMarketBody) -> dict[str, Any]:
    return {
        "event_ticker": body.event_ticker,
        "result": body.result,
        "settlement_value_usd": _dollars(body.settlement_value_dollars, "settlement_value_dollars"),
        "expiration_value": body.expiration_value or None,
        "settled_time_utc": None if body.settlement_ts is None else _utc(body.settlement_ts),
    }


def _maxima(settlements: list[dict[str, Any]], left_out: Counter[str]) -> list[dict[str, Any]]:
    """The maxima that settled the daily-high series, as the exchange states them."""
    values: dict[tuple[str, str], set[float]] = {}
    for row in settlements:
        value = _number(row["expiration_value"] or "")
        if row["series_ticker"] in _STATION_OF and value is not None:
            values.setdefault((row["series_ticker"], row["event_date"]), set()).add(value)
    left_out["days whose markets state different settlement values"] += sum(
        len(found) > 1 for found in values.values()
    )
    return [
        {
            "series_ticker": series,
            "station": _STATION_OF[series],
            "date": day,
            "tmax_f": next(iter(found)),
            "tmin_f": None,
            "source": "kalshi_settlement",
        }
        for (series, day), found in sorted(values.items())
        if len(found) == 1
    ]


def _candles(part: Part) -> list[dict[str, Any]]:
    return [
        {
            "minutes": candle.minutes,
            "end_ts_ms": candle.end_ts // MILLISECOND,
            **_ohlc("yes_bid", candle.yes_bid),
            **_ohlc("yes_ask", candle.yes_ask),
            **_ohlc("price", candle.price),
            "price_mean_usd": None if candle.mean is None else candle.mean / 1e6,
            "volume_contracts": candle.volume / ONE_CONTRACT,
            "open_interest_contracts": candle.open_interest / ONE_CONTRACT,
        }
        for candle in part.candles
    ]


def _ohlc(what: str, bar: Ohlc | None) -> dict[str, float]:
    if bar is None:
        return {}
    prices = {"open": bar.open, "low": bar.low, "high": bar.high, "close": bar.close}
    return {f"{what}_{part}_usd": price / DOLLAR_PRICE for part, price in prices.items()}


def _utc(moment: Time) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # no settlement yet, or a value in words
        return None


def _contracts(text: str | None, field: str) -> float | None:
    return None if text is None else parse_count(text, field) / ONE_CONTRACT


def _dollars(text: str | None, field: str) -> float | None:
    if text is None or text == "":
        return None
    try:
        return parse_price(text, field) / DOLLAR_PRICE
    except WireError as error:
        raise WireError(f"market.{field}", text, "a price in dollars") from error
