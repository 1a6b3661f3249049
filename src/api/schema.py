"""Bodies of the REST API: exchange, series, events, markets and books, only the fields that are used.

Source: Kalshi openapi.yaml 3.34. Money and counts stay strings here and are converted in ``convert``;
a field without a default must be there. Enumerations that the venue extends at will are plain strings.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Raw, Struct

Time: TypeAlias = Annotated[datetime, Meta(tz=True)]
Level: TypeAlias = tuple[str, str]
Side: TypeAlias = Literal["bid", "ask"]
# What counts messages, and what becomes nanoseconds, has to fit 64 bits.
Number: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Milliseconds: TypeAlias = Annotated[int, Meta(ge=-9_000_000_000_000, le=9_000_000_000_000)]


class ShardStatusBody(Struct):
    """The state of one shard."""

    exchange_index: int
    exchange_active: bool
    trading_active: bool


class ExchangeStatusBody(Struct):
    """``GET /exchange/status`` (the top level is shard 0)."""

    exchange_active: bool
    trading_active: bool
    exchange_index_statuses: list[ShardStatusBody] = []


class UserDataTimestampBody(Struct):
    """``GET /exchange/user_data_timestamp``."""

    as_of_time: Time


class BucketBody(Struct):
    """Tokens a second and most tokens held."""

    refill_rate: float
    bucket_capacity: float


class LimitsBody(Struct):
    """``GET /account/limits``."""

    usage_tier: str
    read: BucketBody
    write: BucketBody


class SeriesBody(Struct):
    """A series: what its markets share."""

    ticker: str
    fee_type: str
    fee_multiplier: Decimal
    title: str = ""
    category: str = ""
    frequency: str = ""
    tags: list[str] | None = None
    contract_terms_url: str = ""
    exchange_index: int = 0


class SeriesListAnswer(Struct):
    """``GET /series`` (not paginated)."""

    series: list[SeriesBody]


class SeriesAnswer(Struct):
    """``GET /series/{series_ticker}``."""

    series: SeriesBody


class EventBody(Struct):
    """An event. ``markets`` are decoded one by one, so that a malformed one does not hide the others."""

    event_ticker: str
    series_ticker: str
    title: str = ""
    mutually_exclusive: bool = False
    fee_type_override: str | None = None
    fee_multiplier_override: Decimal | None = None
    markets: list[Raw] | None = None


class EventAnswer(Struct):
    """``GET /events/{event_ticker}``."""

    event: EventBody


class EventsPage(Struct):
    """``GET /events``."""

    events: list[EventBody]
    cursor: str = ""


class PriceRangeBody(Struct):
    """A band of legal prices."""

    start: str
    end: str
    step: str


class MarketBody(Struct):
    """A market."""

    ticker: str
    event_ticker: str
    status: str
    open_time: Time
    close_time: Time
    price_ranges: list[PriceRangeBody]
    title: str = ""
    yes_sub_title: str = ""
    settlement_timer_seconds: int = 0
    result: str = ""
    settlement_value_dollars: str | None = None
    expiration_value: str = ""
    strike_type: str | None = None
    floor_strike: float | None = None
    cap_strike: float | None = None
    rules_primary: str = ""
    exchange_index: int = 0


class MarketEvent(Struct):
    """A market's event, read before the market itself."""

    event_ticker: str


class MarketTicker(Struct):
    """A market's ticker alone."""

    ticker: str


class MarketAnswer(Struct):
    """``GET /markets/{ticker}``; the item is a ``MarketBody``."""

    market: Raw


class MarketsPage(Struct):
    """``GET /markets``; the items are ``MarketBody``, decoded one by one."""

    markets: list[Raw]
    cursor: str = ""


class OrderbookBody(Struct):
    """Bids of both outcomes, each at its own outcome's price. An empty side may be null or missing."""

    yes_dollars: list[Level] | None = None
    no_dollars: list[Level] | None = None


class OrderbookAnswer(Struct):
    """``GET /markets/{ticker}/orderbook``."""

    orderbook_fp: OrderbookBody


class MarketOrderbookBody(Struct):
    """One book of ``GET /markets/orderbooks``."""

    ticker: str
    orderbook_fp: OrderbookBody


class OrderbooksAnswer(Struct):
    """``GET /markets/orderbooks``."""

    orderbooks: list[MarketOrderbookBody]
