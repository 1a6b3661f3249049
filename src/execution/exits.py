"""When an open position is given up before it settles: price stop, thesis stop, time-out.

Source: risk rules of the design (a 30 % stop on the liquidation mark of the bids, on two valid
two-sided books at least five seconds apart, never on a one-sided flash or a wide spread).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from src.core.book import OrderBook
from src.core.fees import FeeSchedule
from src.core.sides import Outcome
from src.core.units import CENT_PRICE, DOLLAR_PRICE, SECOND, Cash, Count, Nanos, Price
from src.execution.limits import ExitPolicy, RiskLimits
from src.execution.portfolio import Position

CONFIRM_AFTER: Nanos = 5 * SECOND
MAX_STOP_SPREAD: Price = 10 * CENT_PRICE


@dataclass(frozen=True, slots=True)
class ExitDecision:
    """Leave the position: why, and the numbers that say so."""

    reason: str
    numbers: dict[str, float]


def liquidation_value(
    bids: Sequence[tuple[Price, Count]], count: Count, fees: FeeSchedule
) -> tuple[Cash, Count]:
    """Cash from selling ``count`` into ``bids`` (the held outcome's own prices) now, after fees.

    Returns (value, contracts that found a bid). What finds no bid is worth nothing here.
    """
    value, left = 0, count
    for price, size in bids:
        taken = min(size, left)
        value += price * taken - fees.trade_fee(price, taken, is_taker=True)
        left -= taken
        if not left:
            break
    return value, count - left


def usable_for_stop(book: OrderBook | None) -> bool:
    """Two-sided, not crossed, not wide: only such a book may trigger a price stop."""
    if book is None or not book.is_two_sided or book.is_crossed:
        return False
    spread = book.spread
    return spread is not None and spread <= MAX_STOP_SPREAD


class ExitMonitor:
    """Remembers first breaches, so that a stop needs a second look."""

    def __init__(self, limits: RiskLimits) -> None:
        self._limits = limits
        self._breached: dict[str, Nanos] = {}

    def decide(
        self,
        position: Position,
        book: OrderBook | None,
        fees: FeeSchedule,
        policy: ExitPolicy,
        fair_yes: float | None,
        now: Nanos,
    ) -> ExitDecision | None:
        """Whether to leave ``position`` now. ``fair_yes``: the strategy's current probability of YES."""
        if now - position.opened_ts >= self._limits.position_timeout:
            return ExitDecision("timeout", {"held_s": (now - position.opened_ts) / SECOND})
        if book is None or not usable_for_stop(book):
            return None  # the last view stands; no stop from a book that cannot be trusted
        bids = book.bids_for(position.outcome)
        value, sold = liquidation_value(bids, position.size, fees)
        if policy.price_stop and sold == position.size and self._price_stop(position, value, now):
            return ExitDecision("stop_loss", {"value": value / 1e6, "cost": position.cost / 1e6})
        if policy.thesis_margin is None or fair_yes is None:
            return None
        fair = fair_yes if position.outcome is Outcome.YES else 1.0 - fair_yes
        best = bids[0][0]
        net_bid = (
            best / DOLLAR_PRICE
            - fees.coefficient(is_taker=True) * best * (DOLLAR_PRICE - best) / DOLLAR_PRICE**2
        )
        if net_bid - fair >= policy.thesis_margin:
            return ExitDecision("thesis", {"fair": fair, "net_bid": net_bid})
        return None

    def _price_stop(self, position: Position, value: Cash, now: Nanos) -> bool:
        if value > (1.0 - self._limits.stop_loss) * position.cost:
            self._breached.pop(position.ticker, None)
            return False
        first = self._breached.setdefault(position.ticker, now)
        return now - first >= CONFIRM_AFTER

    def forget(self, ticker: str) -> None:
        """The position is closed."""
        self._breached.pop(ticker, None)
