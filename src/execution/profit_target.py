"""Where a profit target is reached, and the order that waits there or takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from src.core.book import OrderBook
from src.core.fees import FeeSchedule
from src.core.sides import to_book
from src.core.units import Count, Price
from src.execution.exit_ladder import ExitStep, floor_price
from src.execution.exits import ExitDecision
from src.execution.limits import ExitPolicy
from src.execution.order_state import Order
from src.execution.portfolio import Position
from src.execution.resting_desk import PROFIT_TARGET


@dataclass(frozen=True, slots=True)
class TargetPrices:
    """Lowest prices of the outcome held that make the target: for an offer that rests, and by taking."""

    resting: Price
    taking: Price


def target_prices(
    position: Position, policy: ExitPolicy, book: OrderBook, fees: FeeSchedule
) -> TargetPrices | None:
    """The prices after each one's fee; None when no legal price is high enough."""
    decision = ExitDecision(PROFIT_TARGET, {})
    resting = floor_price(decision, position, policy, book.grid, fees, None, is_taker=False)
    taking = floor_price(decision, position, policy, book.grid, fees, None)
    return None if resting is None or taking is None else TargetPrices(resting, taking)


def target_step(position: Position, prices: TargetPrices, bids: Sequence[tuple[Price, Count]]) -> ExitStep:
    """Sell at once to whoever bids the target already, else rest an offer there, above every bid."""
    reached = sum(size for bid, size in bids if bid >= prices.taking)
    if reached:
        return ExitStep(prices.taking, min(position.size, reached), rests=False)
    crosses = bool(bids) and bids[0][0] >= prices.resting
    return ExitStep(prices.taking if crosses else prices.resting, position.size, rests=True)


def fits_target(order: Order, position: Position, prices: TargetPrices | None) -> bool:
    """Whether a resting offer still covers the position at the target's price."""
    if prices is None or order.remaining < position.size:
        return False
    wanted = {to_book(position.outcome, price)[1] for price in (prices.resting, prices.taking)}
    return order.intent.price in wanted
