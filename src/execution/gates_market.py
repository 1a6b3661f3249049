"""Checks of the outside: exchange, schedule, market, book, the age of the opinion and its price."""

from __future__ import annotations

from src.core.actions import GateResult
from src.core.units import DOLLAR_PRICE, SECOND, Nanos
from src.execution.limits import RiskLimits
from src.execution.risk_context import Gate, RiskContext, result


def _exchange_status(c: RiskContext, limits: RiskLimits) -> GateResult:
    if c.status is None:
        known = not (limits.needs_exchange_status or c.status_lost)
        return result("exchange_status_unknown", known)
    shard = c.market.exchange_index if c.market else 0
    if shard in c.status.closed_shards:
        return result("exchange_status", False, closed_shard=shard)
    return result("exchange_status", c.status.exchange_active and c.status.trading_active)


def _pause_ahead(c: RiskContext, limits: RiskLimits) -> GateResult:
    begin = next_pause(c)
    if begin is None:
        return result("pause_ahead", True)
    left = begin - c.now
    return result("pause_ahead", left > limits.min_time_to_pause, left_s=left / SECOND)


def next_pause(c: RiskContext) -> Nanos | None:
    """When the next known time without trading begins, or began; None when none is known."""
    if c.schedule is None:
        return None
    return next((begin for begin, end in c.schedule.closed if end > c.now), None)


def _market_open(c: RiskContext, limits: RiskLimits) -> GateResult:
    if c.market is None or not c.market.is_open(c.now):
        return result("market_closed", False, status=c.market.status.value if c.market else "unknown")
    left = c.market.close_time - c.now
    return result("closing_soon", left >= limits.min_time_to_close, left_s=left / SECOND)


def _book(c: RiskContext, limits: RiskLimits) -> GateResult:
    if c.book is None:
        return result("no_valid_book", False)
    if not c.book.is_sound:
        return result("book_one_sided", False, bid=c.book.best_bid or 0, ask=c.book.best_ask or 0)
    lag = c.book.ts - (c.book.ts_event if c.book.ts_event is not None else c.book.ts)
    return result("feed_lag", lag <= limits.max_feed_lag, lag_s=lag / SECOND)


def _signal_age(c: RiskContext, limits: RiskLimits) -> GateResult:
    age = c.now - c.signal.ts
    return result("signal_age", 0 <= age <= limits.max_signal_age, age_s=age / SECOND)


def _slippage(c: RiskContext, limits: RiskLimits) -> GateResult:
    offers = c.book.offers(c.signal.outcome, 1) if c.book is not None else []
    if c.signal.quoted is None or not offers:
        return result("slippage", True)
    offer, worst = offers[0][0], c.signal.quoted * (1 + limits.max_slippage)
    return result("slippage", offer <= worst, offer=offer / DOLLAR_PRICE, worst=worst / DOLLAR_PRICE)


MARKET_GATES = (
    Gate("exchange_status", _exchange_status),
    Gate("pause_ahead", _pause_ahead),
    Gate("market_open", _market_open),
    Gate("rules_changed", lambda c, _: c.rules),
    Gate("book", _book),
    Gate("signal_age", _signal_age),
    Gate("slippage", _slippage),
)
