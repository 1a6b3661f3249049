"""The tables of recorded history: their columns, in one place for what writes them and what reads them.

The downloader writes every column. The recorded world reads those with ``is_read``: what was known only
afterwards (last price, volume, open interest) is not, so that it cannot leak into a decision.
``docs/DATA.md`` says what the columns mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple, TypeAlias


class Kind(Enum):
    """What a column holds. The widths are those in the files; readers may widen."""

    TEXT = "text"
    KEY = "one of few texts, by which rows are chosen"
    LABEL = "one of few texts"
    INT32 = "integer of 32 bits"
    INT64 = "integer of 64 bits"
    FLOAT32 = "float of 32 bits"
    FLOAT64 = "float of 64 bits"


class Column(NamedTuple):
    """A column's kind, and whether the recorded world reads it."""

    kind: Kind
    is_read: bool = True


Table: TypeAlias = Mapping[str, Column]

_TEXT, _FLOAT64 = Column(Kind.TEXT), Column(Kind.FLOAT64)
_UNREAD_TEXT, _UNREAD_FLOAT64 = Column(Kind.TEXT, is_read=False), Column(Kind.FLOAT64, is_read=False)
_OHLC = [
    f"{what}_{part}_usd"
    for what in ("yes_bid", "yes_ask", "price")
    for part in ("open", "low", "high", "close")
]

TRADES = "kalshi_trades"
MARKETS = "kalshi_markets"
SETTLEMENTS = "kalshi_settlements"
CANDLES = "kalshi_candles"
MAXIMA = "nws_daily_max"
FORECASTS = "forecasts_daily_max"

HISTORY_TABLES: Mapping[str, Table] = MappingProxyType(
    {
        TRADES: {
            "series_ticker": Column(Kind.KEY),
            "event_date": Column(Kind.KEY),
            "market_ticker": Column(Kind.LABEL),
            "ts_ms": Column(Kind.INT64),
            "yes_price_usd": _FLOAT64,
            "count": Column(Kind.INT32),
            "taker_side": Column(Kind.LABEL),
        },
        MARKETS: {
            "series_ticker": _TEXT,
            "event_ticker": _TEXT,
            "market_ticker": _TEXT,
            "event_date": _TEXT,
            "yes_sub_title": _TEXT,
            "strike_type": _TEXT,
            "floor_strike_f": _FLOAT64,
            "cap_strike_f": _FLOAT64,
            "open_time_utc": _TEXT,
            "close_time_utc": _TEXT,
            "status": _UNREAD_TEXT,
            "result": _TEXT,
            "expiration_value_f": _FLOAT64,
            "volume_contracts": _UNREAD_FLOAT64,
            "open_interest_contracts": _UNREAD_FLOAT64,
            "last_price_usd": _UNREAD_FLOAT64,
            "metadata_source": _UNREAD_TEXT,
            "nws_tmax_f": _FLOAT64,
            "result_from_nws": _TEXT,
        },
        SETTLEMENTS: {
            "series_ticker": _TEXT,
            "event_ticker": _TEXT,
            "market_ticker": _TEXT,
            "event_date": _TEXT,
            "result": _TEXT,
            "settlement_value_usd": _FLOAT64,
            "expiration_value": _TEXT,
            "settled_time_utc": _TEXT,
        },
        CANDLES: {
            "series_ticker": _TEXT,
            "event_date": _TEXT,
            "market_ticker": _TEXT,
            "minutes": Column(Kind.INT32),
            "end_ts_ms": Column(Kind.INT64),
            **dict.fromkeys(_OHLC, _FLOAT64),
            "price_mean_usd": _FLOAT64,
            "volume_contracts": _FLOAT64,
            "open_interest_contracts": _FLOAT64,
        },
        MAXIMA: {
            "series_ticker": _TEXT,
            "station": _TEXT,
            "date": _TEXT,
            "tmax_f": Column(Kind.FLOAT32),
            "tmin_f": Column(Kind.FLOAT32, is_read=False),
            "source": _TEXT,
        },
        FORECASTS: {
            "series_ticker": _TEXT,
            "station": _TEXT,
            "target_date": _TEXT,
            "model": _TEXT,
            "lead_days": _FLOAT64,
            "run_asof_utc": _TEXT,
            "known_at_utc": _TEXT,
            "tmax_f": Column(Kind.FLOAT32),
            "source": _UNREAD_TEXT,
        },
    }
)
