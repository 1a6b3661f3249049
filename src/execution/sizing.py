"""How much to buy: the book walked level by level, fractional Kelly on the average cost, every cap kept.

Money is exact integers; floats are probabilities and the Kelly target only. The answer to "how much" is
monotone: a higher probability, more room or a deeper book never makes the order smaller.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, TypeAlias

from src.core.fees import FeeSchedule
from src.core.units import DOLLAR_CASH, DOLLAR_PRICE, ONE_CONTRACT, Cash, Count, Price
from src.execution.kelly import all_in_cost, kelly_fraction, shrink, target_contracts

SizeReason: TypeAlias = Literal[
    "ok",
    "bad_probability",  # not a number from 0 to 1, or a negative standard error
    "no_offers",  # nobody offers this outcome
    "price_limit",  # the best offer is beyond the price limit
    "no_edge",  # even the best offer costs too much
    "thin_book",  # our share of every level we may take is less than one contract
    "kelly_zero",  # the Kelly stake is zero or less
    "within_band",  # what is held is close enough to the target
    "below_one_contract",  # the target is less than one contract away
    "no_room",  # cash or the caps do not allow one contract
]

# Dealing costs more than the growth it buys while a holding is this close to its target.
NO_TRADE_BAND = 0.10
# A target that is a whole number of contracts but for floating-point noise counts as that number.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """What an order may be. Cash in 1e-6 dollars, counts in 0.01 contract.

    ``wealth``: equity the Kelly fraction refers to; ``cash``: spendable; ``fraction``: Kelly fraction L;
    ``max_cost``: most this order may cost whatever happens, fees included; ``depth_share``: part (0..1) of
    each displayed level we may take; ``min_edge``: least edge per contract in dollars at every level;
    ``held`` / ``held_opposite``: contracts of this and of the other outcome already held; ``max_price``:
    worst acceptable price of this outcome; ``shrinkage``: apply the Baker-McHale factor for the standard
    error (only where the probability has not been pooled with the market's: both together count twice);
    ``target``: contracts to hold in the end at the best offer's cost, where all brackets of the event were
    sized together; a dearer average shrinks it as it would shrink the stake of this outcome alone.
    """

    wealth: Cash
    cash: Cash
    fraction: float
    max_cost: Cash
    depth_share: float
    min_edge: float
    held: Count = 0
    held_opposite: Count = 0
    max_price: Price | None = None
    shrinkage: bool = False
    target: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("fraction", self.fraction), ("depth_share", self.depth_share)):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name}: need a number from 0 to 1, got {value!r}")
        if self.target is not None and not 0.0 <= self.target < math.inf:
            raise ValueError(f"target: need a number of contracts, zero or more, got {self.target!r}")
        if not math.isfinite(self.min_edge):
            raise ValueError(f"min_edge: need a finite number of dollars, got {self.min_edge!r}")
        if self.held < 0 or self.held_opposite < 0:
            raise ValueError(f"held: counts are never negative, got {self.held} and {self.held_opposite}")


@dataclass(frozen=True, slots=True)
class SizedOrder:
    """An order's size, or why there is none (``count`` is 0 exactly when ``reason`` is not "ok").

    ``count``: 0.01 contract, whole contracts; ``limit_price``: the worst level used, in the outcome's own
    price (0 without an order); ``cost``: walked prices plus the taker fee of each level, 1e-6 dollars;
    ``average_cost``: dollars per contract; ``edge``: probability minus that; ``kelly_full``: f* at that
    cost. Without an order the last three describe one contract of the best offer, or are 0 without offers.
    """

    count: Count
    limit_price: Price
    cost: Cash
    average_cost: float
    edge: float
    kelly_full: float
    reason: SizeReason


@dataclass(frozen=True, slots=True)
class _Level:
    """Whole contracts we may take at a price; ``unit_cost`` is one's dollars with the unrounded fee."""

    price: Price
    contracts: int
    unit_cost: float


def size_order(
    probability: float,
    std_error: float,
    offers: Sequence[tuple[Price, Count]],
    fees: FeeSchedule,
    limits: SizeLimits,
) -> SizedOrder:
    """Size a purchase of an outcome that happens with ``probability``.

    ``offers``: (price, displayed count) of that outcome, best first, at its own price. Should the better
    levels vanish before the order arrives, all of it may fill at the limit price: that worst case, not
    just the walked cost, stays within ``cash`` and ``max_cost``. Raises ``ValueError`` for offers that are
    out of order or not prices between 0 and 1 dollar.
    """
    _check_offers(offers)
    if not (0.0 <= probability <= 1.0 and 0.0 <= std_error < math.inf):
        return SizedOrder(0, 0, 0, 0.0, 0.0, 0.0, "bad_probability")
    if not offers:
        return SizedOrder(0, 0, 0, 0.0, 0.0, 0.0, "no_offers")
    within = [offer for offer in offers if limits.max_price is None or offer[0] <= limits.max_price]
    worth = []
    for offer in within:
        if not _is_worth(probability, offer[0], fees, limits.min_edge):
            break
        worth.append(offer)
    levels = [
        _Level(price, contracts, all_in_cost(price, fees))
        for price, size in worth
        if (contracts := math.floor(size * limits.depth_share) // ONE_CONTRACT)
    ]
    reason: SizeReason
    if not within:
        reason = "price_limit"
    elif not worth:
        reason = "no_edge"
    elif not levels:
        reason = "thin_book"
    else:
        plan = _Plan(probability, std_error if limits.shrinkage else 0.0, levels, fees, limits)
        reason = plan.reason()
        if reason == "ok":
            return plan.order(plan.most_contracts())
    cost = all_in_cost(offers[0][0], fees)
    kelly_full = kelly_fraction(probability, cost) if cost < 1.0 else 0.0
    return SizedOrder(0, 0, 0, cost, probability - cost, kelly_full, reason)


def _check_offers(offers: Sequence[tuple[Price, Count]]) -> None:
    before = 0
    for price, size in offers:
        if not before < price < DOLLAR_PRICE or size < 0:
            raise ValueError(
                "offers: need prices between 0 and 1 dollar, best (lowest) first, and sizes of zero or more,"
                f" got {price} x {size} after {before} (1e-4 dollars, 0.01 contract)"
            )
        before = price


def _is_worth(probability: float, price: Price, fees: FeeSchedule, min_edge: float) -> bool:
    # One contract's fee is rounded up, and no whole number of contracts pays more than that each: the edge
    # asked for here still holds after the exact fees of the finished order.
    one = price * ONE_CONTRACT + fees.trade_fee(price, ONE_CONTRACT, is_taker=True)
    return one < DOLLAR_CASH and probability - one / DOLLAR_CASH >= min_edge


class _Plan:
    """The levels worth taking (at least one), and what taking the first ``n`` contracts of them means.

    Both tests get harder as ``n`` grows (average cost and limit price only rise), so the largest ``n``
    that passes them is proved by ``n`` passing and ``n + 1`` failing: a guess first, else bisection.
    """

    def __init__(
        self,
        probability: float,
        std_error: float,
        levels: Sequence[_Level],
        fees: FeeSchedule,
        limits: SizeLimits,
    ) -> None:
        self._probability = probability
        self._std_error = std_error
        self._levels = levels
        self._fees = fees
        self._limits = limits
        self._wealth = limits.wealth / DOLLAR_CASH
        self._most_cost = min(limits.cash, limits.max_cost)
        # Contracts held, the other outcome's counting against: they net inside a market.
        self._holding = (limits.held - limits.held_opposite) / ONE_CONTRACT
        # Contracts up to and with each level, and dollars for all of each level.
        self._ends = list(accumulate([level.contracts for level in levels]))
        self._whole = [level.unit_cost * level.contracts for level in levels]
        # Contracts to hold if all can be bought at the best level.
        self._wanted = self.target(levels[0].unit_cost)

    def target(self, unit_cost: float) -> float:
        """Contracts to hold in the end when one costs this on average."""
        limits = self._limits
        fraction = limits.fraction
        if self._std_error > 0.0:
            fraction *= shrink(self._probability, unit_cost, self._std_error)
        alone = target_contracts(self._probability, unit_cost, self._wealth, fraction)
        if limits.target is None or alone <= 0.0:
            return alone
        best = self._levels[0].unit_cost
        return (
            limits.target * alone / target_contracts(self._probability, best, self._wealth, limits.fraction)
        )

    def reason(self) -> SizeReason:
        """ "ok" when at least one contract can be bought, or why none can."""
        wanted = self._wanted
        if wanted <= 0.0:
            return "kelly_zero"
        if self._holding > 0.0 and wanted - self._holding <= max(1.0, NO_TRADE_BAND * wanted):
            return "within_band"
        if not self._within_target(1, 0):
            return "below_one_contract"
        return "ok" if self._within_caps(1, 0) else "no_room"

    def most_contracts(self) -> int:
        """The largest whole number of contracts within the Kelly target and every cap."""
        fitting, failing = 0, self._ends[-1] + 1
        guess = self._guess()
        for contracts in (guess, guess + 1):  # right in most cases, and proved by these two
            if fitting < contracts < failing:
                if self._fits(contracts):
                    fitting = contracts
                else:
                    failing = contracts
        while failing - fitting > 1:
            contracts = (fitting + failing) // 2
            if self._fits(contracts):
                fitting = contracts
            else:
                failing = contracts
        return fitting

    def _guess(self) -> int:
        """What it comes to if all can be bought at the best level, and each contract's fee is rounded up."""
        wanted = math.floor(self._wanted - self._holding + _ROUNDING)
        one = self._fees.worst_taker_cost(self._levels[0].price, ONE_CONTRACT)
        return min(wanted, self._most_cost // one, self._ends[-1])

    def order(self, contracts: int) -> SizedOrder:
        """The order for this many contracts, costed exactly."""
        last = bisect_left(self._ends, contracts)
        takes = [(level.price, level.contracts) for level in self._levels[:last]]
        takes.append((self._levels[last].price, contracts - self._before(last)))
        cost = sum(
            [
                price * taken * ONE_CONTRACT
                + self._fees.trade_fee(price, taken * ONE_CONTRACT, is_taker=True)
                for price, taken in takes
            ]
        )
        average = cost / (contracts * DOLLAR_CASH)
        return SizedOrder(
            count=contracts * ONE_CONTRACT,
            limit_price=self._levels[last].price,
            cost=cost,
            average_cost=average,
            edge=self._probability - average,
            kelly_full=kelly_fraction(self._probability, average),
            reason="ok",
        )

    def _before(self, number: int) -> int:
        """Contracts of the levels better than this one."""
        return self._ends[number - 1] if number else 0

    def _fits(self, contracts: int) -> bool:
        last = bisect_left(self._ends, contracts)
        return self._within_caps(contracts, last) and self._within_target(contracts, last)

    def _within_target(self, contracts: int, last: int) -> bool:
        """Whether Kelly wants this many, the worst of them from the level numbered ``last``."""
        part = self._levels[last].unit_cost * (contracts - self._before(last))
        spent = math.fsum([*self._whole[:last], part])
        return contracts <= self.target(spent / contracts) - self._holding + _ROUNDING

    def _within_caps(self, contracts: int, last: int) -> bool:
        """Whether the caps bear this many at the price of the level numbered ``last``."""
        worst = self._fees.worst_taker_cost(self._levels[last].price, contracts * ONE_CONTRACT)
        return worst <= self._most_cost
