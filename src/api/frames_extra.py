"""WebSocket messages of the channels that are subscribed on request only.

Source: Kalshi asyncapi.yaml 2.0.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from src.api.schema import Number

Text = Annotated[str, Meta(min_length=1)]


class TickerMsg(Struct):
    """Best quotes and last trade. Older streams give no sizes, and seconds (``ts``)."""

    market_ticker: Text
    price_dollars: str
    yes_bid_dollars: str
    yes_ask_dollars: str
    volume_fp: str
    open_interest_fp: str
    yes_bid_size_fp: str | None = None
    yes_ask_size_fp: str | None = None
    ts_ms: int | None = None
    ts: int | None = None


class PositionMsg(Struct):
    """Our position in a market."""

    market_ticker: Text
    position_fp: str
    position_cost_dollars: str
    realized_pnl_dollars: str
    fees_paid_dollars: str


class OrderGroupMsg(Struct):
    """A change of an order group; the limit is there when it was set."""

    event_type: str
    order_group_id: Text
    ts_ms: int
    contracts_limit_fp: str | None = None


class TickerFrame(Struct, tag_field="type", tag="ticker"):
    """``ticker`` (not sequenced)."""

    sid: Number
    msg: TickerMsg
    seq: Number | None = None


class PositionFrame(Struct, tag_field="type", tag="market_position"):
    """``market_position`` (not sequenced)."""

    sid: Number
    msg: PositionMsg
    seq: Number | None = None


class OrderGroupFrame(Struct, tag_field="type", tag="order_group_updates"):
    """``order_group_updates``."""

    sid: Number
    seq: Number
    msg: OrderGroupMsg
