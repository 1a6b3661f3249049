"""An entry that rests: its price from the book and the edge asked for, its size from Kelly and every cap.

The order is post-only, so it pays the maker fee or nothing; the venue refuses it rather than let it take.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from src.core.actions import GateResult
from src.core.book import OrderBook
from src.core.fees import FeeSchedule
from src.core.grid import PriceGrid
from src.core.sides import BookSide, Outcome, from_book, to_book
from src.core.signal import Signal
from src.core.trading_hours import weekly_pause
from src.core.units import DOLLAR_CASH, DOLLAR_PRICE, MINUTE, ONE_CONTRACT, Cash, Nanos, Price, dollars
from src.execution.kelly import all_in_cost, kelly_fraction, shrink, target_contracts
from src.execution.limits import RiskLimits
from src.execution.risk_context import RiskContext
from src.execution.sizing import NO_TRADE_BAND, SizedOrder

# "Cancel everything at 02:55 ET Thursday": what rests ends this long before an announced pause.
BEFORE_PAUSE: Nanos = 5 * MINUTE


def pause_is_near(now: Nanos) -> bool:
    """Whether the weekly pause is on or begins within ``BEFORE_PAUSE``."""
    return weekly_pause(now)[0] - now <= BEFORE_PAUSE


def maker_edge(probability: float, price: Price, fees: FeeSchedule) -> float:
    """Dollars per contract that an order resting at ``price`` of its own outcome expects, if it fills."""
    return probability - all_in_cost(price, fees, is_taker=False)


def grid_price(grid: PriceGrid, outcome: Outcome, price: float) -> Price:
    """The highest legal price of an outcome that is not above ``price`` (1e-4 dollars)."""
    side, _ = to_book(outcome, 0)
    whole = math.floor(price)
    yes_price = grid.round_down(whole) if side is BookSide.BID else grid.round_up(DOLLAR_PRICE - whole)
    return from_book(side, yes_price)[1]


def maker_price(
    probability: float, outcome: Outcome, book: OrderBook, fees: FeeSchedule, min_edge: float
) -> Price | None:
    """Where to rest: a tick above the best bid where the spread has room for one, else at the best bid.

    None when no such price leaves ``min_edge`` dollars after the maker fee: behind the best bid an order
    is mostly reached by those who know more.
    """
    bids, offers = book.bids_for(outcome, 1), book.offers(outcome, 1)
    if not bids or not offers:
        return None
    best, offer = bids[0][0], offers[0][0]
    side, yes_best = to_book(outcome, best)
    step = book.grid.step_up if side is BookSide.BID else book.grid.step_down
    improved = from_book(side, step(yes_best))[1]
    for price in (improved, best):
        if price < offer and maker_edge(probability, price, fees) >= min_edge:
            return price
    return None


def size(
    c: RiskContext, limits: RiskLimits, rooms: Mapping[str, Cash], joint: float | None = None
) -> SizedOrder | GateResult:
    """Size a resting entry inside every cap, or say which cap or which arithmetic leaves nothing.

    ``rooms``: what ``risk.room`` said of ``c``. ``joint``: contracts to hold in the end where all brackets of
    the event were sized together. It only ever makes the order smaller: of orders that rest one may fill
    alone, without those that would offset it.

    The reserve is taken with the taker fee, which the order cannot pay: more than enough. No more is bought
    than ``depth_share`` of the bids, which is what the position could be sold to.
    """
    if c.book is None or c.market is None:
        raise AssertionError("sizing before the book and market checks")
    if pause_is_near(c.now):
        return GateResult("announced_pause", False, {"begins_in_s": (weekly_pause(c.now)[0] - c.now) / 1e9})
    signal, fees = c.signal, c.market.fees
    tightest = min(rooms, key=rooms.__getitem__)
    if rooms[tightest] <= 0:
        return GateResult(tightest, False, {"room_dollars": dollars(rooms[tightest])})
    least = max(limits.min_edge, signal.min_edge)
    price = maker_price(signal.probability, signal.outcome, c.book, fees, least)
    bids = c.book.bids_for(signal.outcome)
    numbers = {"probability": signal.probability, "best_bid": bids[0][0] / DOLLAR_PRICE if bids else 0.0}
    if price is None:
        return GateResult("size_no_edge", False, {**numbers, "min_edge": least})
    unit = all_in_cost(price, fees, is_taker=False)
    target = _target(signal, unit, c.equity, c.control.kelly_fraction, joint)
    held = abs(c.held) / ONE_CONTRACT
    if held and target - held <= max(1.0, NO_TRADE_BAND * target):
        return GateResult("size_within_band", False, {**numbers, "target": target, "held": held})
    worst = price * ONE_CONTRACT + fees.trade_fee(price, ONE_CONTRACT, is_taker=True) + fees.rounding
    depth = math.floor(sum(count for _, count in bids) * limits.depth_share) // ONE_CONTRACT
    fitting = min(rooms[tightest], c.spendable) // worst
    contracts = min(math.floor(target - held), depth, fitting)
    if contracts <= 0:
        reason = "size_thin_book" if depth <= 0 else tightest if fitting <= 0 else "size_below_one_contract"
        return GateResult(reason, False, {**numbers, "target": target, "depth": depth, "fitting": fitting})
    count = contracts * ONE_CONTRACT
    cost = price * count + fees.trade_fee(price, count, is_taker=False)
    edge = signal.probability - cost / (contracts * DOLLAR_CASH)
    kelly_full = kelly_fraction(signal.probability, unit)
    return SizedOrder(count, price, cost, cost / (contracts * DOLLAR_CASH), edge, kelly_full, "ok")


def _target(signal: Signal, unit: float, equity: Cash, fraction: float, joint: float | None) -> float:
    """Contracts to hold in the end at this cost of one."""
    kept = 1.0 if signal.is_pooled else shrink(signal.probability, unit, signal.std_error)
    alone = target_contracts(signal.probability, unit, equity / DOLLAR_CASH, fraction)
    return kept * (alone if joint is None else min(alone, joint))
