"""The risk gate: one ordered list of small checks. Only this module can build an ``Approved``.

Each check has a name and the numbers it looked at; the first that refuses is stored with them. The size
stays within every cap, and the finished order is held against all of them once more. A check that raises
is no check that passed: it stops trading (``GuardError``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from src.core.actions import GateResult
from src.core.market import Market
from src.core.signal import OrderIntent, TimeInForce
from src.core.units import ONE_CONTRACT, Cash, dollars
from src.execution.caps import CAPS
from src.execution.gates_market import MARKET_GATES
from src.execution.gates_trading import POSITION_GATES, TRADING_GATES
from src.execution.limits import RiskLimits
from src.execution.risk_context import Cap, Gate, RiskContext, refused
from src.execution.sizing import SizedOrder, SizeLimits, size_order

_KEY = object()

# In this order; a new line here also needs its drill (src/execution/drills.py), or no start succeeds.
CONTROLS: tuple[Gate | Cap, ...] = (*TRADING_GATES, *MARKET_GATES, *POSITION_GATES, *CAPS)


class GuardError(Exception):
    """A risk check did not answer but raised: whether the order was safe is unknown."""

    def __init__(self, guard: str, error: Exception) -> None:
        super().__init__(f"risk check {guard} failed: {type(error).__name__}: {error}")
        self.guard = guard


@dataclass(frozen=True, slots=True)
class Approved:
    """An intent that passed every gate, and the worst-case loss reserved for it.

    ``key`` is private to this module, so that nothing else can build one by accident.
    """

    intent: OrderIntent
    reserved: Cash
    key: object

    def __post_init__(self) -> None:
        if self.key is not _KEY:
            raise AssertionError("only execution.risk may approve an order")


def approve(intent: OrderIntent, reserved: Cash) -> Approved:
    """Wrap an intent whose checks all passed. Called by the engine right after ``first_refusal``."""
    if intent.time_in_force is TimeInForce.GOOD_TILL_CANCELED and intent.expiration_ts is None:
        raise AssertionError("an order that rests must end at the venue by itself, should we be gone")
    return Approved(intent, reserved, _KEY)


def first_refusal(c: RiskContext, limits: RiskLimits) -> GateResult | None:
    """The first gate that refuses, or None. Raises ``GuardError``."""
    for control in CONTROLS:
        if type(control) is Gate:
            try:
                answer = control.check(c, limits)
            except Exception as error:
                raise GuardError(control.name, error) from error
            if not answer.passed:
                return answer
    return None


def room(c: RiskContext, limits: RiskLimits) -> Mapping[str, Cash]:
    """How much more an order may cost, in 1e-6 dollars, by the cap that says so. Raises ``GuardError``.

    It belongs to the account as ``c`` saw it: the size and the second look at the order share it.
    """
    rooms: dict[str, Cash] = {}
    for control in CONTROLS:
        if type(control) is Cap:
            try:
                rooms[control.name] = control.room(c, limits)
            except Exception as error:
                raise GuardError(control.name, error) from error
    return MappingProxyType(rooms)


def size(
    c: RiskContext, limits: RiskLimits, rooms: Mapping[str, Cash], target: float | None = None
) -> SizedOrder | GateResult:
    """Size the order inside every cap, or say which cap or which arithmetic leaves nothing.

    ``rooms``: what ``room`` said of ``c``; ``target``: contracts to hold in the end where the brackets of the
    event were sized together.
    """
    if c.book is None or c.market is None:
        raise AssertionError("sizing before the book and market checks")
    tightest = min(rooms, key=rooms.__getitem__)
    if rooms[tightest] <= 0:
        return refused(tightest, room_dollars=dollars(rooms[tightest]))
    offers = c.book.offers(c.signal.outcome)
    if not offers:
        return refused("no_offers")
    sized = _sized(c, limits, c.market, offers, rooms[tightest], target)
    if sized.count <= 0:
        return refused(
            # Less than one contract of room is the cap's refusal, too.
            tightest if sized.reason == "no_room" else f"size_{sized.reason}",
            edge=sized.edge,
            best_offer=offers[0][0] / 10_000,
            probability=c.signal.probability,
            tightest=tightest,
            room_dollars=dollars(rooms[tightest]),
        )
    # The reserve is taken at the limit price with fees rounded up per contract: it must fit as well.
    unit = (
        sized.limit_price * ONE_CONTRACT
        + c.market.fees.trade_fee(sized.limit_price, ONE_CONTRACT, is_taker=True)
        + c.market.fees.rounding
    )
    fitting = rooms[tightest] // unit * ONE_CONTRACT
    if fitting <= 0:
        return refused(tightest, room_dollars=dollars(rooms[tightest]), contract_dollars=dollars(unit))
    return sized if sized.count <= fitting else replace(sized, count=fitting)


def _sized(
    c: RiskContext,
    limits: RiskLimits,
    market: Market,
    offers: Sequence[tuple[int, int]],
    most: Cash,
    target: float | None,
) -> SizedOrder:
    best = offers[0][0]
    max_price = market.grid.round_down(int(best * (1 + limits.max_slippage)))
    size_limits = SizeLimits(
        wealth=c.equity,
        cash=max(0, c.spendable),
        fraction=c.control.kelly_fraction,
        max_cost=most,
        depth_share=limits.depth_share,
        min_edge=max(limits.min_edge, c.signal.min_edge),
        held=abs(c.held),
        held_opposite=0,
        max_price=max(max_price, best),
        shrinkage=not c.signal.is_pooled,
        target=target,
    )
    try:
        return size_order(c.signal.probability, c.signal.std_error, offers, market.fees, size_limits)
    except ValueError as error:
        raise GuardError("size", error) from error


def after_sizing(rooms: Mapping[str, Cash], reserved: Cash) -> GateResult | None:
    """Look at the finished order once more, whatever sizing made of it: its worst case must fit every cap."""
    for name, left in rooms.items():
        if reserved > left:
            return refused(name, reserved_dollars=dollars(reserved), room_dollars=dollars(left))
    return None
