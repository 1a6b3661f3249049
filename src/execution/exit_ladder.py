"""How a position is left: at which price, how much of it, and whether the order waits.

Immediate orders a little below the best bid come first, sized to what is bid there. Where nothing at an
acceptable price is bid, or two of them found nobody, an offer rests at the middle and is priced anew every
two minutes. No order goes below the floor, so that an empty book never sets our price. Prices here are those
of the outcome held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from src.core.book import OrderBook
from src.core.fees import FeeSchedule
from src.core.grid import PriceGrid
from src.core.sides import Outcome, from_book, to_book
from src.core.units import CENT_PRICE, DOLLAR_PRICE, Count, Price
from src.execution.exits import ExitDecision, target_value
from src.execution.kelly import net_proceeds
from src.execution.limits import ExitPolicy
from src.execution.portfolio import Position

# A person's flatten does not haggle, and a target that is reached is taken: neither waits in the book.
_AT_ONCE = frozenset({"flatten", "profit_target"})
_FLATTEN_CONCESSION: Price = 3 * CENT_PRICE


@dataclass(frozen=True, slots=True)
class ExitStep:
    """One order of an exit: sell ``count`` at ``price`` or better; ``rests`` when it waits in the book."""

    price: Price
    count: Count
    rests: bool


def selling_price(grid: PriceGrid, outcome: Outcome, price: Price) -> Price:
    """The lowest legal price of an outcome at which a seller gets at least ``price``."""
    side, yes_price = to_book(outcome, price)
    # Selling an outcome is buying the other one, so the safe direction is the other side's.
    return from_book(side, grid.toward_safety(side.other, yes_price))[1]


def least_price(
    worth: float, low: Price, grid: PriceGrid, outcome: Outcome, fees: FeeSchedule, *, is_taker: bool = True
) -> Price | None:
    """The lowest legal price from ``low`` up whose proceeds after the fee are ``worth`` dollars."""
    price = selling_price(grid, outcome, max(low, min(DOLLAR_PRICE, round(worth * DOLLAR_PRICE))))
    while 0 < price < DOLLAR_PRICE:
        if net_proceeds(price, fees, is_taker) >= worth:
            return price
        price = selling_price(grid, outcome, price + 1)
    return None


def floor_price(
    decision: ExitDecision,
    position: Position,
    policy: ExitPolicy,
    grid: PriceGrid,
    fees: FeeSchedule,
    fair: float | None,
    *,
    is_taker: bool = True,
) -> Price | None:
    """Below which price this exit never sells; None when no legal price is high enough.

    A thesis exit sells for no less than we think the contract is worth, a profit target for no less than the
    target, the others for ``floor_share`` of its worth; a flatten takes what there is.
    """
    lowest = selling_price(grid, position.outcome, CENT_PRICE)
    if decision.reason == "profit_target" and policy.profit_target is not None:
        worth = target_value(position, policy.profit_target)
        return least_price(worth, lowest, grid, position.outcome, fees, is_taker=is_taker)
    if decision.reason == "flatten" or fair is None:
        return lowest
    share = 1.0 if decision.reason == "thesis" else policy.ladder.floor_share
    return least_price(share * fair, lowest, grid, position.outcome, fees)


def next_step(
    position: Position,
    decision: ExitDecision,
    policy: ExitPolicy,
    book: OrderBook,
    bids: Sequence[tuple[Price, Count]],
    floor: Price,
    misses: int,
    *,
    may_rest: bool,
) -> ExitStep | None:
    """The order to send now, or None when there is nobody to sell to and nothing may rest.

    ``bids``: what others bid for the outcome held. ``misses``: orders in a row that sold nothing.
    """
    concessions = policy.ladder.concessions
    rung = misses % (len(concessions) + 1)
    if decision.reason == "flatten":
        concession = _FLATTEN_CONCESSION
    else:
        concession = concessions[min(rung, len(concessions) - 1)]
    waits = may_rest and decision.reason not in _AT_ONCE
    if bids and (rung < len(concessions) or not waits):
        limit = max(floor, bids[0][0] - concession)
        limit = selling_price(book.grid, position.outcome, limit)
        wanted = min(position.size, sum(size for price, size in bids if price >= limit))
        if wanted:
            return ExitStep(limit, wanted, rests=False)
    if not waits:
        return None
    price = _middle(position.outcome, book)
    if price is None:
        return None
    price = max(floor, price)
    return ExitStep(price, position.size, rests=True) if price < DOLLAR_PRICE else None


def _middle(outcome: Outcome, book: OrderBook) -> Price | None:
    """Between bid and offer, on the grid and above every bid; the offer itself where nobody bids."""
    bids, offers = book.bids_for(outcome, 1), book.offers(outcome, 1)
    if not offers:
        return None
    if not bids:
        return offers[0][0]
    middle = selling_price(book.grid, outcome, (bids[0][0] + offers[0][0] + 1) // 2)
    if middle > bids[0][0]:
        return middle
    return selling_price(book.grid, outcome, bids[0][0] + 1)
