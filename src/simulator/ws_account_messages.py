"""WebSocket message bodies of the private channels: what happened to an account's orders and positions."""

from __future__ import annotations

from src.core.sides import BookSide
from src.core.units import SECOND, format_cash, format_count, format_price
from src.simulator.outputs import FillMade, GroupChange, GroupStep, OrderChange
from src.simulator.records import Position
from src.simulator.render import Json, millis, outcome_of, rfc3339


def fill(output: FillMade) -> Json:
    """``fill``; ``side``, ``action`` and ``purchased_side`` are the deprecated forms of the outcome."""
    made = output.fill
    outcome = outcome_of(made.side)
    return {
        "trade_id": made.trade_id,
        "order_id": made.order_id,
        "client_order_id": made.client_order_id,
        "market_ticker": made.ticker,
        "exchange_index": made.exchange_index,
        "is_taker": made.is_taker,
        "outcome_side": outcome,
        "book_side": made.side.value,
        "side": outcome,
        "action": "buy",
        "purchased_side": outcome,
        "yes_price_dollars": format_price(made.price),
        "count_fp": format_count(made.count),
        "fee_cost": format_cash(made.fee),
        "post_position_fp": format_count(made.post_position),
        "ts": made.ts // SECOND,
        "ts_ms": millis(made.ts),
        "subaccount": 0,
    }


def user_order(output: OrderChange) -> Json:
    """``user_order``."""
    held = output.order
    outcome = outcome_of(held.side)
    body: Json = {
        "order_id": held.order_id,
        "user_id": held.user_id,
        "ticker": held.ticker,
        "exchange_index": held.exchange_index,
        "status": held.status.value,
        "outcome_side": outcome,
        "book_side": held.side.value,
        "side": outcome,
        "is_yes": held.side is BookSide.BID,
        "yes_price_dollars": format_price(held.price),
        "initial_count_fp": format_count(held.count),
        "remaining_count_fp": format_count(held.remaining),
        "fill_count_fp": format_count(held.filled),
        "maker_fill_cost_dollars": format_cash(held.maker_cost),
        "taker_fill_cost_dollars": format_cash(held.taker_cost),
        "maker_fees_dollars": format_cash(held.maker_fees),
        "taker_fees_dollars": format_cash(held.taker_fees),
        "client_order_id": held.client_order_id,
        "self_trade_prevention_type": held.request.self_trade_prevention.value,
        "created_time": rfc3339(held.created_ts // 1_000_000 * 1_000_000),
        "created_ts_ms": millis(held.created_ts),
        "last_updated_ts_ms": millis(held.updated_ts),
        "subaccount_number": 0,
    }
    if held.reason:
        body["last_update_reason"] = held.reason
    if held.request.expiration_ts is not None:
        body["expiration_ts_ms"] = millis(held.request.expiration_ts)
    return body


def market_position(user_id: str, held: Position) -> Json:
    """``market_position``."""
    return {
        "user_id": user_id,
        "market_ticker": held.ticker,
        "position_fp": format_count(held.count),
        "position_cost_dollars": format_cash(held.cost),
        "realized_pnl_dollars": format_cash(held.realized),
        "fees_paid_dollars": format_cash(held.fees),
        "position_fee_cost_dollars": format_cash(held.fees if held.count else 0),
        "volume_fp": format_count(held.volume),
        "subaccount": 0,
    }


def order_group_update(output: GroupChange) -> Json:
    """``order_group_updates``; the limit comes with what sets it."""
    body: Json = {
        "event_type": output.step.value,
        "order_group_id": output.group_id,
        "ts_ms": millis(output.ts),
    }
    if output.step in {GroupStep.CREATED, GroupStep.LIMIT_UPDATED}:
        body["contracts_limit_fp"] = format_count(output.limit)
    return body
