"""Bodies of schedules, fee changes, trades, candlesticks and the archive, only the fields that are used.

Source: Kalshi openapi.yaml 3.34. The rules are those of ``schema``: money stays a string here.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from src.api.schema import Side, Time

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class SessionBody(Struct):
    """Trading hours of a day, ``HH:MM`` New York time."""

    open_time: str
    close_time: str


class WeekBody(Struct):
    """The trading hours of every week between two moments."""

    start_time: Time
    end_time: Time
    monday: list[SessionBody]
    tuesday: list[SessionBody]
    wednesday: list[SessionBody]
    thursday: list[SessionBody]
    friday: list[SessionBody]
    saturday: list[SessionBody]
    sunday: list[SessionBody]


class MaintenanceBody(Struct):
    """A time without trading."""

    start_datetime: Time
    end_datetime: Time


class ScheduleBody(Struct):
    """When the exchange is open."""

    standard_hours: list[WeekBody]
    maintenance_windows: list[MaintenanceBody]


class ScheduleAnswer(Struct):
    """``GET /exchange/schedule``."""

    schedule: ScheduleBody


class SeriesFeeChangeBody(Struct):
    """The fee terms a series has from ``scheduled_ts`` on."""

    id: str
    series_ticker: str
    fee_type: str
    fee_multiplier: Decimal
    scheduled_ts: Time


class SeriesFeeChangesAnswer(Struct):
    """``GET /series/fee_changes``."""

    series_fee_change_arr: list[SeriesFeeChangeBody]


class EventFeeChangeBody(Struct):
    """The override an event has from ``scheduled_ts`` on; None: the series' own terms again."""

    id: str
    event_ticker: str
    series_ticker: str
    scheduled_ts: Time
    fee_type_override: str | None = None
    fee_multiplier_override: Decimal | None = None


class EventFeeChangesPage(Struct):
    """``GET /events/fee_changes``."""

    event_fee_changes: list[EventFeeChangeBody]
    cursor: str = ""


class TradeBody(Struct):
    """Somebody's trade."""

    trade_id: str
    ticker: str
    count_fp: str
    yes_price_dollars: str
    taker_book_side: Side
    created_time: Time
    is_block_trade: bool = False


class TradesPage(Struct):
    """``GET /markets/trades`` and ``GET /historical/trades``."""

    trades: list[TradeBody]
    cursor: str = ""


class CutoffBody(Struct):
    """``GET /historical/cutoff``: what is older than these is served by the archive."""

    market_settled_ts: Time
    trades_created_ts: Time
    orders_updated_ts: Time


def _dollars(name: str) -> str:
    return f"{name}_dollars"


class LiveQuotesBody(Struct, rename=_dollars):
    """Open, low, high and close of a side of the book; null where there was none."""

    open: str | None = None
    low: str | None = None
    high: str | None = None
    close: str | None = None


class LivePricesBody(Struct, rename=_dollars):
    """Of the trades; null when there was none."""

    open: str | None = None
    low: str | None = None
    high: str | None = None
    close: str | None = None
    mean: str | None = None
    previous: str | None = None


class LiveCandleBody(Struct, rename={"volume": "volume_fp", "open_interest": "open_interest_fp"}):
    """A candlestick of the live tier."""

    end_period_ts: int
    yes_bid: LiveQuotesBody
    yes_ask: LiveQuotesBody
    price: LivePricesBody
    volume: str
    open_interest: str


class ArchivedQuotesBody(Struct):
    """As ``LiveQuotesBody``; the archive's names have no suffix."""

    open: str | None = None
    low: str | None = None
    high: str | None = None
    close: str | None = None


class ArchivedPricesBody(Struct):
    """As ``LivePricesBody``; the archive's names have no suffix."""

    open: str | None = None
    low: str | None = None
    high: str | None = None
    close: str | None = None
    mean: str | None = None
    previous: str | None = None


class ArchivedCandleBody(Struct):
    """A candlestick of the archive."""

    end_period_ts: int
    yes_bid: ArchivedQuotesBody
    yes_ask: ArchivedQuotesBody
    price: ArchivedPricesBody
    volume: str
    open_interest: str


class CandlesAnswer(Struct):
    """``GET /series/{series_ticker}/markets/{ticker}/candlesticks``."""

    candlesticks: list[LiveCandleBody]


class ArchivedCandlesAnswer(Struct):
    """``GET /historical/markets/{ticker}/candlesticks``."""

    candlesticks: list[ArchivedCandleBody]


class MarketCandlesBody(Struct):
    """One market of ``GET /markets/candlesticks``."""

    market_ticker: str
    candlesticks: list[LiveCandleBody]


class MarketsCandlesAnswer(Struct):
    """``GET /markets/candlesticks``."""

    markets: list[MarketCandlesBody]


class EventCandlesAnswer(Struct):
    """``GET /series/{series_ticker}/events/{ticker}/candlesticks``; both lists are in the same order."""

    market_tickers: list[str]
    market_candlesticks: list[list[LiveCandleBody]]
    adjusted_end_ts: int
