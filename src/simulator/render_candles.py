"""Candlesticks as Kalshi's JSON: live ones with suffixed names, historical ones without."""

from __future__ import annotations

from src.core.units import SECOND, Price, format_count, format_price
from src.simulator.candles import Candle, Range
from src.simulator.render import Json


def candle(made: Candle) -> Json:
    """``MarketCandlestick``."""
    return {
        "end_period_ts": made.end // SECOND,
        "yes_bid": _range(made.bid, "_dollars"),
        "yes_ask": _range(made.ask, "_dollars"),
        "price": _prices(made, "_dollars"),
        "volume_fp": format_count(made.volume),
        "open_interest_fp": format_count(made.interest),
    }


def synthetic_candle(before: Candle) -> Json:
    """What stood at the start: the last quotes and ``previous``, without trades."""
    standing = Candle(
        before.end, Range.at(before.bid.close), Range.at(before.ask.close), before.last_price, before.interest
    )
    return candle(standing)


def historical_candle(made: Candle) -> Json:
    """``MarketCandlestickHistorical``."""
    return {
        "end_period_ts": made.end // SECOND,
        "yes_bid": _range(made.bid, ""),
        "yes_ask": _range(made.ask, ""),
        "price": _prices(made, ""),
        "volume": format_count(made.volume),
        "open_interest": format_count(made.interest),
    }


def _range(moved: Range, suffix: str) -> Json:
    values = {"open": moved.open, "low": moved.low, "high": moved.high, "close": moved.close}
    return {f"{name}{suffix}": format_price(value) for name, value in values.items()}


def _prices(made: Candle, suffix: str) -> Json:
    """Prices of the trades: null without any; ``previous`` is the price before the period."""
    traded = made.price
    values: dict[str, Price | None] = {
        "open": traded.open if traded else None,
        "low": traded.low if traded else None,
        "high": traded.high if traded else None,
        "close": traded.close if traded else None,
        "mean": made.mean,
        "previous": made.previous,
    }
    return {
        f"{name}{suffix}": None if value is None else format_price(value) for name, value in values.items()
    }
