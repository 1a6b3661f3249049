"""Candlesticks in exact units, the same from the live tier and from the archive."""

from __future__ import annotations

from dataclasses import dataclass

from src.api.convert import plain_count
from src.api.schema_data import (
    ArchivedCandleBody,
    ArchivedPricesBody,
    ArchivedQuotesBody,
    LiveCandleBody,
    LivePricesBody,
    LiveQuotesBody,
)
from src.core.errors import WireError
from src.core.units import SECOND, Cash, Count, Nanos, Price, parse_cash, parse_price

_QuotesBody = LiveQuotesBody | ArchivedQuotesBody | LivePricesBody | ArchivedPricesBody


@dataclass(frozen=True, slots=True)
class Ohlc:
    """First, lowest, highest and last YES price of a period (1e-4 dollars)."""

    open: Price
    low: Price
    high: Price
    close: Price


@dataclass(frozen=True, slots=True)
class Candle:
    """A market's period of ``minutes`` (1, 60 or 1440) that ends at ``end_ts`` (UTC nanoseconds).

    ``yes_bid`` and ``yes_ask`` are of the best quotes (an empty side quotes 0 or 1 dollar), ``price`` of the
    trades and None without one. ``mean`` is the volume-weighted price in 1e-6 dollars, ``previous`` the last
    price before. Counts are 0.01 contract.
    """

    ticker: str
    minutes: int
    end_ts: Nanos
    yes_bid: Ohlc | None
    yes_ask: Ohlc | None
    price: Ohlc | None
    mean: Cash | None
    previous: Price | None
    volume: Count
    open_interest: Count


def to_candle(ticker: str, minutes: int, body: LiveCandleBody | ArchivedCandleBody) -> Candle:
    """A candlestick of either tier. Raises ``WireError`` naming the field."""
    mean, previous = body.price.mean, body.price.previous
    return Candle(
        ticker=ticker,
        minutes=minutes,
        end_ts=body.end_period_ts * SECOND,
        yes_bid=_ohlc(body.yes_bid, "yes_bid"),
        yes_ask=_ohlc(body.yes_ask, "yes_ask"),
        price=_ohlc(body.price, "price"),
        mean=None if mean is None else parse_cash(mean, "price.mean"),
        previous=None if previous is None else parse_price(previous, "price.previous"),
        volume=plain_count(body.volume, "volume"),
        open_interest=plain_count(body.open_interest, "open_interest"),
    )


def _ohlc(body: _QuotesBody, where: str) -> Ohlc | None:
    named = {"open": body.open, "low": body.low, "high": body.high, "close": body.close}
    missing = [name for name, text in named.items() if text is None]
    if len(missing) == len(named):
        return None
    if missing:
        raise WireError(f"{where}.{missing[0]}", None, "a price, as the other three are given")
    return Ohlc(**{name: parse_price(text, f"{where}.{name}") for name, text in named.items()})
