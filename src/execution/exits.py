"""When an open position is given up before it settles: price stop, thesis stop, profit target, time-out.

Source: risk rules of the design (a 30 % stop on the liquidation mark of the bids, on two valid
two-sided books at least five seconds apart, never on a one-sided flash or a wide spread, nor within a
minute of an observation, whose news the thesis judges better than a price in motion).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from src.core.book import OrderBook
from src.core.fees import FeeSchedule
from src.core.sides import Outcome, from_book, to_book
from src.core.units import CENT_PRICE, DOLLAR_PRICE, MINUTE, SECOND, Cash, Count, Nanos, Price
from src.execution.kelly import net_proceeds
from src.execution.limits import ExecutionStyle, ExitPolicy, RiskLimits
from src.execution.orders import OrderRegister
from src.execution.portfolio import Position

CONFIRM_AFTER: Nanos = 5 * SECOND
QUIET_AFTER_NEWS: Nanos = MINUTE
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


def bids_of_others(book: OrderBook, outcome: Outcome, orders: OrderRegister) -> list[tuple[Price, Count]]:
    """What a holder of ``outcome`` can sell to now: the bids without this account's own resting orders.

    Our own bid is no way out, and the venue cancels an order that meets one of its own account.
    """
    levels = book.bids_for(outcome)
    if not orders.any_live:
        return levels
    side, _ = to_book(outcome, 0)
    resting = orders.resting_at(book.ticker, side)
    if not resting:
        return levels
    own = {from_book(side, price)[1]: size for price, size in resting.items()}
    left = ((price, size - own.get(price, 0)) for price, size in levels)
    return [(price, size) for price, size in left if size > 0]


def target_value(position: Position, share: float) -> float:
    """Dollars per contract, after fees, at which a sale makes ``share`` of the cost."""
    return (1.0 + share) * position.cost / position.size / DOLLAR_PRICE


def usable_for_stop(book: OrderBook | None) -> bool:
    """Two-sided, not crossed, not wide: only such a book may trigger a price stop."""
    if book is None or not book.is_sound:
        return False
    spread = book.spread
    return spread is not None and spread <= MAX_STOP_SPREAD


class ExitMonitor:
    """Remembers first breaches, so that a stop needs a second look, and when observations came in."""

    def __init__(self, limits: RiskLimits) -> None:
        self._limits = limits
        self._breached: dict[str, Nanos] = {}
        self._news: dict[str, Nanos] = {}

    def heard(self, series_ticker: str, now: Nanos) -> None:
        """An observation that moves the markets of this series came in."""
        self._news[series_ticker] = now

    def decide(
        self,
        position: Position,
        book: OrderBook | None,
        bids: Sequence[tuple[Price, Count]],
        fees: FeeSchedule,
        policy: ExitPolicy,
        fair_yes: float | None,
        now: Nanos,
    ) -> ExitDecision | None:
        """Whether to leave ``position`` now, by its side's ``bids`` (without our own orders).

        ``fair_yes``: the strategy's current probability of YES.
        """
        if now - position.opened_ts >= self._limits.position_timeout:
            return ExitDecision("timeout", {"held_s": (now - position.opened_ts) / SECOND})
        if book is None or book.is_crossed or not bids:
            return None  # the last view stands; no decision from a book that cannot be trusted
        if not policy.looks_at_price:
            return None
        value, sold = liquidation_value(bids, position.size, fees)
        numbers = {"value": value / 1e6, "sold": sold / 100, "cost": position.cost / 1e6}
        if usable_for_stop(book):
            if policy.price_stop and self._price_stop(position, value, sold, now):
                return ExitDecision("stop_loss", numbers)
            if policy.thesis_margin is not None and fair_yes is not None:
                fair = fair_yes if position.outcome is Outcome.YES else 1.0 - fair_yes
                net_bid = net_proceeds(bids[0][0], fees)
                if net_bid - fair >= policy.thesis_margin:
                    return ExitDecision("thesis", {"fair": fair, "net_bid": net_bid})
        if policy.profit_target is None or policy.style is ExecutionStyle.MAKER:
            return None
        reached = net_proceeds(bids[0][0], fees) >= target_value(position, policy.profit_target)
        return ExitDecision("profit_target", numbers) if reached else None

    def _price_stop(self, position: Position, value: Cash, sold: Count, now: Nanos) -> bool:
        # Where the bids take only a part, that part's average is the best the whole could hope for.
        if value * position.size > (1.0 - self._limits.stop_loss) * position.cost * sold:
            self._breached.pop(position.ticker, None)
            return False
        first = self._breached.setdefault(position.ticker, now)
        heard = self._news.get(position.ticker.partition("-")[0])
        if heard is not None and now - heard < QUIET_AFTER_NEWS:
            return False
        return now - first >= CONFIRM_AFTER

    def forget(self, ticker: str) -> None:
        """The position is closed."""
        self._breached.pop(ticker, None)
