"""Bodies of the account's records: balance, positions, orders, fills, settlements.

Source: Kalshi openapi.yaml 3.34. The rules are those of ``schema``: money and counts are strings.
"""

from __future__ import annotations

from msgspec import Struct

from src.api.schema import Side, Time


class ShardBalanceBody(Struct):
    """Cash of one shard, dollars."""

    exchange_index: int
    balance: str


class BalanceBody(Struct):
    """``GET /portfolio/balance``; the integer cents beside it are truncated and not used."""

    balance_dollars: str
    balance_breakdown: list[ShardBalanceBody] | None = None


class PositionBody(Struct):
    """A position in one market, signed."""

    ticker: str
    position_fp: str
    market_exposure_dollars: str
    realized_pnl_dollars: str
    fees_paid_dollars: str


class PositionsPage(Struct):
    """``GET /portfolio/positions``."""

    market_positions: list[PositionBody]
    cursor: str = ""


class OrderBody(Struct):
    """An order as listed."""

    order_id: str
    ticker: str
    book_side: Side
    status: str
    yes_price_dollars: str
    initial_count_fp: str
    fill_count_fp: str
    remaining_count_fp: str
    client_order_id: str = ""
    created_time: Time | None = None
    last_update_time: Time | None = None


class OrderAnswer(Struct):
    """``GET /portfolio/orders/{order_id}``."""

    order: OrderBody


class OrdersPage(Struct):
    """``GET /portfolio/orders``."""

    orders: list[OrderBody]
    cursor: str = ""


class FillBody(Struct):
    """A fill as listed; the venue no longer gives the client order id here."""

    trade_id: str
    order_id: str
    ticker: str
    book_side: Side
    yes_price_dollars: str
    count_fp: str
    fee_cost: str
    is_taker: bool
    client_order_id: str = ""
    created_time: Time | None = None
    ts: int | None = None


class FillsPage(Struct):
    """``GET /portfolio/fills``."""

    fills: list[FillBody]
    cursor: str = ""


class SettlementBody(Struct):
    """A settled market that was held. ``revenue`` and ``value`` are whole cents."""

    ticker: str
    event_ticker: str
    market_result: str
    yes_count_fp: str
    no_count_fp: str
    revenue: int
    settled_time: Time
    value: int | None = None


class SettlementsPage(Struct):
    """``GET /portfolio/settlements``."""

    settlements: list[SettlementBody]
    cursor: str = ""
