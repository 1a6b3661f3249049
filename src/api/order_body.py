"""From an order intent to the body of a create call, and from an amendment to that of an amend call.

Source: Kalshi Trade API v2, ``CreateOrderV2Request`` and ``AmendOrderV2Request``: one YES book, prices and
counts as strings.
"""

from __future__ import annotations

from src.api.schema_orders import AmendOrderBody, CreateOrderBody
from src.core.actions import AmendOrder
from src.core.errors import DefiniteError
from src.core.signal import OrderIntent, TimeInForce
from src.core.units import DOLLAR_PRICE, SECOND, format_count, format_price

MAX_CLIENT_ORDER_ID = 64


def order_body(intent: OrderIntent) -> CreateOrderBody:
    """The body for ``intent``.

    A resting order is cancelled by the venue when trading pauses, and self-trades cancel the incoming
    order. Raises ``DefiniteError`` (code ``invalid_intent``) for what the venue is known to refuse.
    """
    resting = intent.time_in_force is TimeInForce.GOOD_TILL_CANCELED
    if not 0 < intent.price < DOLLAR_PRICE:
        raise _invalid("price", format_price(intent.price), "above 0 and below 1 dollar")
    if intent.count <= 0:
        raise _invalid("count", format_count(intent.count), "more than zero contracts")
    if not 0 < len(intent.client_order_id) <= MAX_CLIENT_ORDER_ID:
        raise _invalid("client_order_id", intent.client_order_id, "1 to 64 characters")
    if intent.reduce_only and intent.time_in_force is not TimeInForce.IMMEDIATE_OR_CANCEL:
        raise _invalid("reduce_only", "true", "only with immediate_or_cancel")
    if intent.post_only and not resting:
        raise _invalid("post_only", "true", "only with good_till_canceled")
    expires = intent.expiration_ts if resting else None
    return CreateOrderBody(
        ticker=intent.ticker,
        client_order_id=intent.client_order_id,
        side=intent.side.value,
        count=format_count(intent.count),
        price=format_price(intent.price),
        time_in_force=intent.time_in_force.value,
        self_trade_prevention_type="taker_at_cross",
        exchange_index=intent.exchange_index,
        post_only=intent.post_only,
        reduce_only=intent.reduce_only,
        cancel_order_on_pause=resting,
        expiration_time=None if expires is None else expires // SECOND,
    )


def amend_body(order: AmendOrder) -> AmendOrderBody:
    """The body that makes an order's total ``order.count``, what has filled included."""
    return AmendOrderBody(
        ticker=order.ticker,
        side=order.side.value,
        price=format_price(order.price),
        count=format_count(order.count),
        exchange_index=order.exchange_index,
        client_order_id=order.client_order_id,
        expiration_time=order.expiration_ts // SECOND,
    )


def _invalid(field: str, value: str, expected: str) -> DefiniteError:
    return DefiniteError(
        f"{field} is {value}, must be {expected}; order not sent",
        code="invalid_intent",
    )
