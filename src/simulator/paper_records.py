"""The exchange's account records as the events of ``src.core.events``."""

from __future__ import annotations

from src.core.events import Fill, OrderUpdate, Settlement
from src.core.units import Nanos
from src.simulator.records import SettlementRecord, VenueFill, VenueOrder


def order_update(order: VenueOrder, now: Nanos) -> OrderUpdate:
    """An order as it stands, received ``now``."""
    return OrderUpdate(
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        ticker=order.ticker,
        side=order.side,
        price=order.price,
        count=order.count,
        filled=order.filled,
        remaining=order.remaining,
        status=order.status,
        updated_ts=order.updated_ts,
        ts_recv=now,
        reason=order.reason,
    )


def fill_event(fill: VenueFill, now: Nanos) -> Fill:
    """A fill, received ``now``."""
    return Fill(
        trade_id=fill.trade_id,
        order_id=fill.order_id,
        client_order_id=fill.client_order_id,
        ticker=fill.ticker,
        side=fill.side,
        price=fill.price,
        count=fill.count,
        fee=fill.fee,
        is_taker=fill.is_taker,
        ts_event=fill.ts,
        ts_recv=now,
    )


def settlement_event(record: SettlementRecord, now: Nanos) -> Settlement:
    """A settlement, received ``now``."""
    return Settlement(
        ticker=record.ticker,
        event_ticker=record.event_ticker,
        value=record.value,
        revenue=record.revenue,
        yes_count=record.yes_count,
        no_count=record.no_count,
        settled_ts=record.ts,
        ts_recv=now,
    )
