"""Why the exchange says no, with the HTTP status and code Kalshi answers with.

Where Kalshi's own wire form is not known (pauses, closed markets), 409 and the engine's name in snake
case are used, as its documentation of engine names suggests.
"""

from __future__ import annotations

from src.core.errors import TradingSystemError


class OrderRefused(TradingSystemError):
    """An order action the exchange did not perform; ``code`` and ``details`` go into the answer."""

    def __init__(self, status: int, code: str, details: str = "") -> None:
        super().__init__(f"{code}: {details}" if details else code)
        self.status = status
        self.code = code
        self.details = details


def invalid_price(details: str) -> OrderRefused:
    """Off the market's grid, or 0 or 1 dollar."""
    return OrderRefused(400, "invalid_price", details)


def invalid_order(details: str) -> OrderRefused:
    """Options that contradict each other, or a post-only order that would take."""
    return OrderRefused(400, "invalid_order", details)


def invalid_size(details: str) -> OrderRefused:
    """A count that is not positive."""
    return OrderRefused(400, "invalid_order_size", details)


def insufficient_balance() -> OrderRefused:
    """Not enough cash beyond what resting orders hold."""
    return OrderRefused(400, "insufficient_balance")


def not_found() -> OrderRefused:
    """Unknown market or order, or one that is no longer there: the same answer for all of them."""
    return OrderRefused(404, "not_found")


def user_not_found() -> OrderRefused:
    """The account has never had cash on the market's shard."""
    return OrderRefused(404, "user_not_found")


def mismatch(what: str) -> OrderRefused:
    """An amendment names another ``what`` (order_side, order_ticker...) than the order has."""
    return OrderRefused(400, f"{what}_mismatch")


def group_not_found() -> OrderRefused:
    """Unknown order group, or one on another shard."""
    return OrderRefused(404, "order_group_not_found")


def group_limit_exceeded() -> OrderRefused:
    """The order group has triggered and was not reset."""
    return OrderRefused(409, "exceeded_order_group_risk_limit")


def duplicate_transfer_id() -> OrderRefused:
    """The client transfer id was used before."""
    return OrderRefused(409, "transfer_already_exists")


def duplicate_client_order_id() -> OrderRefused:
    """The client order id was used before; it is burnt for ever."""
    return OrderRefused(409, "order_already_exists")


def market_inactive() -> OrderRefused:
    """The market does not trade now."""
    return OrderRefused(409, "market_inactive")


def trading_paused() -> OrderRefused:
    """Orders are refused; cancels pass."""
    return OrderRefused(409, "trading_paused")


def exchange_paused() -> OrderRefused:
    """Nothing passes."""
    return OrderRefused(409, "exchange_paused")
