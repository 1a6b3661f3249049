"""The risk gate: one ordered list of small checks. Only this module can build an ``Approved``.

Each check has a name and the numbers it looked at; the first that refuses is stored with them. The
sizing in the middle already respects the caps; the checks behind it look again at the finished order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from src.core.actions import GateResult, TradingState
from src.core.book import OrderBook
from src.core.market import Market
from src.core.sides import Outcome
from src.core.signal import OrderIntent, Signal
from src.core.units import DAY, HOUR, ONE_CONTRACT, SECOND, Cash, Count, Nanos, dollars
from src.execution.limits import RiskLimits
from src.execution.sizing import SizedOrder, SizeLimits, size_order
from src.execution.trading_state import TradingControl

_KEY = object()


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
    return Approved(intent, reserved, _KEY)


@dataclass(frozen=True, slots=True)
class RiskContext:
    """Everything the checks look at, taken at one instant. Cash in 1e-6 dollars."""

    now: Nanos
    signal: Signal
    market: Market | None
    book: OrderBook | None
    control: TradingControl
    exchange_ok: bool
    account_ts: Nanos | None
    clock_offset: Nanos | None
    store_down: str
    equity: Cash
    spendable: Cash
    at_risk: Cash
    market_at_risk: Cash
    open_positions: int
    held: Count
    stopped_out: bool
    working: bool


Check = Callable[[RiskContext, RiskLimits], GateResult]


def _gate(name: str, passed: bool, **numbers: float | str) -> GateResult:
    return GateResult(name, passed, numbers)


def _trading_state(c: RiskContext, _: RiskLimits) -> GateResult:
    return _gate(
        "trading_state",
        c.control.state is TradingState.ACTIVE,
        state=c.control.state.value,
        why=c.control.why,
    )


def _exchange_status(c: RiskContext, _: RiskLimits) -> GateResult:
    return _gate("exchange_status", c.exchange_ok)


def _store(c: RiskContext, _: RiskLimits) -> GateResult:
    return _gate("store_down", not c.store_down, reason=c.store_down)


def _clock(c: RiskContext, limits: RiskLimits) -> GateResult:
    offset = abs(c.clock_offset or 0)
    return _gate("clock_offset", offset <= limits.max_clock_offset, offset_s=offset / SECOND)


def _account(c: RiskContext, limits: RiskLimits) -> GateResult:
    if c.account_ts is None:
        return _gate("account_unknown", False)
    age = c.now - c.account_ts
    return _gate("account_stale", age <= limits.max_account_age, age_s=age / SECOND)


def _market_open(c: RiskContext, limits: RiskLimits) -> GateResult:
    if c.market is None or not c.market.is_open(c.now):
        return _gate("market_closed", False, status=c.market.status.value if c.market else "unknown")
    left = c.market.close_time - c.now
    return _gate("closing_soon", left >= limits.min_time_to_close, left_s=left / SECOND)


def _book(c: RiskContext, limits: RiskLimits) -> GateResult:
    if c.book is None:
        return _gate("no_valid_book", False)
    if not c.book.is_two_sided or c.book.is_crossed:
        return _gate("book_one_sided", False, bid=c.book.best_bid or 0, ask=c.book.best_ask or 0)
    lag = c.book.ts - (c.book.ts_event if c.book.ts_event is not None else c.book.ts)
    return _gate("feed_lag", lag <= limits.max_feed_lag, lag_s=lag / SECOND)


def _signal_age(c: RiskContext, limits: RiskLimits) -> GateResult:
    age = c.now - c.signal.ts
    return _gate("signal_age", 0 <= age <= limits.max_signal_age, age_s=age / SECOND)


def _position_state(c: RiskContext, _: RiskLimits) -> GateResult:
    opposite = c.held < 0 if c.signal.outcome is Outcome.YES else c.held > 0
    if opposite:
        return _gate("opposite_position", False, held=c.held / 100)
    if c.working:
        return _gate("order_working", False)
    return _gate("stopped_out", not c.stopped_out)


def _cooldown(c: RiskContext, limits: RiskLimits) -> GateResult:
    last = c.control.last_loss_ts
    since = c.now - last if last is not None else limits.cooldown_after_loss
    return _gate("cooldown_after_loss", since >= limits.cooldown_after_loss, since_s=since / SECOND)


def _breaker(c: RiskContext, limits: RiskLimits) -> GateResult:
    losses = c.control.losses_in_a_row
    return _gate(
        "consecutive_losses",
        losses < limits.consecutive_losses,
        losses=losses,
        limit=limits.consecutive_losses,
    )


def _trades_hour(c: RiskContext, limits: RiskLimits) -> GateResult:
    trades = c.control.trades_since(c.now, HOUR)
    return _gate(
        "trades_per_hour",
        trades < limits.max_trades_per_hour,
        trades=trades,
        limit=limits.max_trades_per_hour,
    )


def _trades_day(c: RiskContext, limits: RiskLimits) -> GateResult:
    trades = c.control.trades_since(c.now, DAY)
    return _gate(
        "trades_per_day", trades < limits.max_trades_per_day, trades=trades, limit=limits.max_trades_per_day
    )


def _open_positions(c: RiskContext, limits: RiskLimits) -> GateResult:
    # A market already held or worked adds no position.
    adds = c.market_at_risk == 0
    fits = not adds or c.open_positions < limits.max_open_positions
    return _gate("max_open_positions", fits, open=c.open_positions, limit=limits.max_open_positions)


BEFORE_SIZING: tuple[Check, ...] = (
    _trading_state,
    _exchange_status,
    _store,
    _clock,
    _account,
    _market_open,
    _book,
    _signal_age,
    _position_state,
    _cooldown,
    _breaker,
    _trades_hour,
    _trades_day,
    _open_positions,
)


def room(c: RiskContext, limits: RiskLimits) -> dict[str, Cash]:
    """How much more an order may cost, in 1e-6 dollars, by the limit that says so."""
    heat_limit = int(limits.max_portfolio_heat * max(0, c.equity))
    return {
        "max_position": limits.max_position - c.market_at_risk,
        "portfolio_heat": heat_limit - c.at_risk,
        # The worst that can still happen today must stay above the limit.
        "daily_loss": limits.max_daily_loss + min(0, c.control.day_pnl) - c.at_risk,
        "cash": c.spendable,
    }


def first_refusal(c: RiskContext, limits: RiskLimits) -> GateResult | None:
    """The first check before sizing that refuses, or None."""
    for check in BEFORE_SIZING:
        result = check(c, limits)
        if not result.passed:
            return result
    return None


def size(c: RiskContext, limits: RiskLimits) -> SizedOrder | GateResult:
    """Size the order inside every cap, or say which cap or which arithmetic leaves nothing."""
    if c.book is None or c.market is None:
        raise AssertionError("sizing before the book and market checks")
    rooms = room(c, limits)
    tightest = min(rooms, key=lambda name: rooms[name])
    if rooms[tightest] <= 0:
        return _gate(tightest, False, room_dollars=dollars(rooms[tightest]))
    offers = c.book.offers(c.signal.outcome)
    if not offers:
        return _gate("no_offers", False)
    max_price = c.market.grid.round_down(int(offers[0][0] * (1 + limits.max_slippage)))
    same_side = abs(c.held)
    sized = size_order(
        c.signal.probability,
        c.signal.std_error,
        offers,
        c.market.fees,
        SizeLimits(
            wealth=c.equity,
            cash=max(0, c.spendable),
            fraction=limits.kelly_fraction,
            max_cost=rooms[tightest],
            depth_share=limits.depth_share,
            min_edge=max(limits.min_edge, c.signal.min_edge),
            held=same_side,
            held_opposite=0,
            max_price=max(max_price, offers[0][0]),
        ),
    )
    if sized.count <= 0:
        return _gate(
            f"size_{sized.reason}",
            False,
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
        return _gate(tightest, False, room_dollars=dollars(rooms[tightest]), contract_dollars=dollars(unit))
    return replace(sized, count=min(sized.count, fitting))


def after_sizing(c: RiskContext, limits: RiskLimits, reserved: Cash) -> GateResult | None:
    """Look at the finished order once more: its worst case must fit every cap."""
    for name, left in room(c, limits).items():
        if reserved > left:
            return _gate(name, False, reserved_dollars=dollars(reserved), room_dollars=dollars(left))
    return None
