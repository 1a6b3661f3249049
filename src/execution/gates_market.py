"""Checks of the outside: exchange, schedule, market, book, the age of the opinion and its price."""

from __future__ import annotations

from src.core.actions import GateResult
from src.core.units import DOLLAR_PRICE, SECOND, Nanos
from src.execution.limits import RiskLimits
from src.execution.risk_context import PASSED, Gate, RiskContext, refused


def _exchange_status(c: RiskContext, limits: RiskLimits) -> GateResult:
    if c.status is None:
        unknown = limits.needs_exchange_status or c.status_lost
        return refused("exchange_status_unknown") if unknown else PASSED
    shard = c.market.exchange_index if c.market else 0
    if shard in c.status.closed_shards:
        return refused("exchange_status", closed_shard=shard)
    trades = c.status.exchange_active and c.status.trading_active
    return PASSED if trades else refused("exchange_status")


def _pause_ahead(c: RiskContext, limits: RiskLimits) -> GateResult:
    begin = next_pause(c)
    if begin is None:
        return PASSED
    left = begin - c.now
    return PASSED if left > limits.min_time_to_pause else refused("pause_ahead", left_s=left / SECOND)


def next_pause(c: RiskContext) -> Nanos | None:
    """When the next known time without trading begins, or began; None when none is known."""
    if c.schedule is None:
        return None
    return next((begin for begin, end in c.schedule.closed if end > c.now), None)


def _market_open(c: RiskContext, limits: RiskLimits) -> GateResult:
    if c.market is None or not c.market.is_open(c.now):
        return refused("market_closed", status=c.market.status.value if c.market else "unknown")
    left = c.market.close_time - c.now
    return PASSED if left >= limits.min_time_to_close else refused("closing_soon", left_s=left / SECOND)


def _book(c: RiskContext, limits: RiskLimits) -> GateResult:
    if c.book is None:
        return refused("no_valid_book")
    if not c.book.is_sound:
        return refused("book_one_sided", bid=c.book.best_bid or 0, ask=c.book.best_ask or 0)
    lag = c.book.ts - (c.book.ts_event if c.book.ts_event is not None else c.book.ts)
    return PASSED if lag <= limits.max_feed_lag else refused("feed_lag", lag_s=lag / SECOND)


def _signal_age(c: RiskContext, limits: RiskLimits) -> GateResult:
    age = c.now - c.signal.ts
    return PASSED if 0 <= age <= limits.max_signal_age else refused("signal_age", age_s=age / SECOND)


def _slippage(c: RiskContext, limits: RiskLimits) -> GateResult:
    if c.signal.quoted is None or c.book is None:
        return PASSED
    offers = c.book.offers(c.signal.outcome, 1)
    if not offers:
        return PASSED
    offer, worst = offers[0][0], c.signal.quoted * (1 + limits.max_slippage)
    if offer <= worst:
        return PASSED
    return refused("slippage", offer=offer / DOLLAR_PRICE, worst=worst / DOLLAR_PRICE)


MARKET_GATES = (
    Gate("exchange_status", _exchange_status),
    Gate("pause_ahead", _pause_ahead),
    Gate("market_open", _market_open),
    Gate("rules_changed", lambda c, _: c.rules),
    Gate("book", _book),
    Gate("signal_age", _signal_age),
    Gate("slippage", _slippage),
)
