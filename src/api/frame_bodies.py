"""What is within the frames of the WebSocket: the ``msg`` of each type.

Source: Kalshi asyncapi.yaml 2.0; only the fields that are used. Money and counts stay strings here.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from src.api.schema import Level, Milliseconds, Number, Side

Leg: TypeAlias = Literal["yes", "no"]
Text: TypeAlias = Annotated[str, Meta(min_length=1)]


class SnapshotMsg(Struct):
    """The key of an empty side is missing. Keys without ``_fp`` are those of REST and of older streams."""

    market_ticker: Text
    yes_dollars_fp: list[Level] | None = None
    no_dollars_fp: list[Level] | None = None
    yes_dollars: list[Level] | None = None
    no_dollars: list[Level] | None = None
    clock: int | None = None


class DeltaMsg(Struct, gc=False):
    """A signed change of size at one price. The garbage collector need not follow the commonest message."""

    market_ticker: Text
    price_dollars: str
    delta_fp: str
    side: Leg
    clock: int | None = None
    ts_ms: Milliseconds | None = None


class TradeMsg(Struct):
    """A public trade. Older streams name the taker's outcome alone, and seconds (``ts``)."""

    market_ticker: Text
    trade_id: Text
    yes_price_dollars: str
    count_fp: str
    taker_book_side: Side | None = None
    taker_side: Leg | None = None
    ts_ms: Milliseconds | None = None
    ts: int | None = None
    is_block_trade: bool = False


class FillMsg(Struct):
    """One of our fills."""

    trade_id: Text
    order_id: Text
    market_ticker: Text
    book_side: Side
    yes_price_dollars: str
    count_fp: str
    fee_cost: str
    is_taker: bool
    ts_ms: Milliseconds
    client_order_id: str = ""


class UserOrderMsg(Struct):
    """The state of one of our orders."""

    order_id: Text
    ticker: Text
    status: str
    book_side: Side
    yes_price_dollars: str
    initial_count_fp: str
    remaining_count_fp: str
    fill_count_fp: str
    created_ts_ms: int
    client_order_id: str = ""
    last_updated_ts_ms: int | None = None
    last_update_reason: str = ""


class LifecycleMetadata(Struct):
    """What a ``created`` message says of its market."""

    event_ticker: str = ""


class LifecycleMsg(Struct):
    """A change in a market's life; which fields are there depends on ``event_type``."""

    market_ticker: Text
    event_type: str
    close_ts: int | None = None
    result: str = ""
    settlement_value: str | None = None
    additional_metadata: LifecycleMetadata | None = None


class EventLifecycleMsg(Struct, frozen=True):
    """A new event. It names its series, which a market's ticker need not do."""

    event_ticker: str = ""
    series_ticker: str = ""


class EventFeeMsg(Struct):
    """The fee override of an event changed."""

    event_ticker: Text


class SubscribedMsg(Struct):
    """A channel became live under ``sid``."""

    channel: str
    sid: Number


class ListedSubscription(Struct):
    """One of the subscriptions listed."""

    channel: str
    sid: Number


class ErrorMsg(Struct):
    """A command or a subscription failed."""

    code: int
    msg: str = ""
