"""From table rows back to the core's types (``rows`` is the way there)."""

from __future__ import annotations

from sqlalchemy import RowMapping

from src.core.actions import OrderStatus, PositionChanged, StoredOrder
from src.core.events import DailyMaximum, Fill, ForecastUpdate, Settlement
from src.core.sides import BookSide
from src.core.signal import OrderIntent, Purpose, TimeInForce


def stored_order(row: RowMapping) -> StoredOrder:
    """The order in a row of ``orders``."""
    intent = OrderIntent(
        client_order_id=row["client_order_id"],
        signal_id=row["signal_id"],
        strategy=row["strategy"],
        ticker=row["ticker"],
        event_ticker=row["event_ticker"],
        side=BookSide(row["side"]),
        price=row["price_e4"],
        count=row["count_e2"],
        time_in_force=TimeInForce(row["time_in_force"]),
        purpose=Purpose(row["purpose"]),
        created_ts=row["created_ns"],
        trace_id=row["trace_id"],
        attempt=row["attempt"],
        post_only=row["post_only"],
        reduce_only=row["reduce_only"],
        expiration_ts=row["expiration_ns"],
        exchange_index=row["exchange_index"],
        expected_edge=row["expected_edge"],
        probability=row["probability"],
        book_seq=row["book_seq"],
        book_ts=row["book_ts_ns"],
    )
    return StoredOrder(
        row["order_id"] or "",
        intent,
        OrderStatus(row["status"]),
        row["filled_e2"],
        row["reserved_e6"],
        row["external"],
    )


def stored_forecast(row: RowMapping) -> ForecastUpdate:
    """The forecast in a row of ``forecasts``, as first seen."""
    return ForecastUpdate(
        series_ticker=row["series_ticker"],
        station=row["station"],
        target_date=row["target_date"],
        source=row["source"],
        lead_days=row["lead_days"],
        tmax_f=row["tmax_f"],
        issued_ts=row["issued_ns"],
        ts_event=row["event_ns"],
        ts_recv=row["first_seen_ns"],
    )


def stored_maximum(row: RowMapping) -> DailyMaximum:
    """The daily maximum in a row of ``daily_maxima``, as first seen."""
    return DailyMaximum(
        series_ticker=row["series_ticker"],
        station=row["station"],
        date=row["date"],
        tmax_f=row["tmax_f"],
        final=row["final"],
        ts_event=row["event_ns"],
        ts_recv=row["first_seen_ns"],
    )


def stored_fill(row: RowMapping) -> Fill:
    """The fill in a row of ``fills``."""
    return Fill(
        trade_id=row["trade_id"],
        order_id=row["order_id"],
        client_order_id=row["client_order_id"],
        ticker=row["ticker"],
        side=BookSide(row["side"]),
        price=row["price_e4"],
        count=row["count_e2"],
        fee=row["fee_e6"],
        is_taker=row["is_taker"],
        ts_event=row["event_ns"],
        ts_recv=row["recv_ns"],
    )


def stored_position(row: RowMapping) -> PositionChanged:
    """The position in a row of ``positions``, as it was last reported."""
    return PositionChanged(
        ticker=row["ticker"],
        event_ticker=row["event_ticker"],
        strategy=row["strategy"],
        count=row["count_e2"],
        cost=row["cost_e6"],
        realized=row["realized_e6"],
        fees=row["fees_e6"],
        opened_ts=row["opened_ns"],
        ts=row["updated_ns"],
    )


def stored_settlement(row: RowMapping) -> Settlement:
    """The settlement in a row of ``settlements``."""
    return Settlement(
        ticker=row["ticker"],
        event_ticker=row["event_ticker"],
        value=row["value_e4"],
        revenue=row["revenue_e6"],
        yes_count=row["yes_count_e2"],
        no_count=row["no_count_e2"],
        settled_ts=row["settled_ns"],
        ts_recv=row["recv_ns"],
    )
