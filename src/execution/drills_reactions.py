"""One synthetic violation for each control that is no gate: halts, loss limits, exits, sizing, reserves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from src.core.actions import CancelOrder, StateChanged, StoredState, TradingState
from src.core.events import Command, CommandKind, MarketUpdate, OrderAccepted, Tick
from src.core.fees import FeeSchedule
from src.core.signal import Purpose
from src.core.units import DOLLAR_CASH, MINUTE, ONE_CONTRACT, SECOND, Cash, Price, dollars
from src.execution.drill_bench import Bench
from src.execution.drill_props import ASK, BID, ELSEWHERE, EVENT, NOW, Held, market, only, quote, signal
from src.execution.engine import Action
from src.execution.kelly import all_in_cost
from src.execution.limits import RiskLimits
from src.execution.risk import Approved

_FLAT: tuple[Price, Price] = (4_900, 5_100)
_ROOM: Cash = 1_000_000 * DOLLAR_CASH


@dataclass(frozen=True, slots=True)
class Reaction:
    """``run(limits)`` provokes the control: empty when it reacted, else what happened instead."""

    control: str
    run: Callable[[RiskLimits], str]


def _orders(actions: Sequence[Action], purpose: Purpose) -> list[Approved]:
    return [action for action in actions if isinstance(action, Approved) and action.intent.purpose is purpose]


def _expect(bench: Bench, state: TradingState, who: str) -> str:
    control = bench.engine.control
    if (control.state, control.who) == (state, who):
        return ""
    return f"the state is {control.state.value} by {control.who!r}, not {state.value} by {who!r}"


# --- sizing -------------------------------------------------------------------------------------------


def _min_edge(limits: RiskLimits) -> str:
    """Half a cent less than the edge asked for."""
    chance = all_in_cost(ASK, FeeSchedule()) + limits.min_edge - 0.005
    told = Bench(only(limits, "min_edge")).say(signal(probability=min(1.0, chance)))
    return "" if told == "size_no_edge" else f"an order without the least edge was {told}"


def _kelly(limits: RiskLimits) -> str:
    """A stake that Kelly makes less than one contract is no order, not one contract."""
    bench = Bench(replace(only(limits), kelly_fraction=1e-9))
    told = bench.say(signal(probability=0.2))
    return "" if told == "size_below_one_contract" else f"an order of less than one contract was {told}"


def _reserves(limits: RiskLimits) -> str:
    """Signals of one moment add up before any fill."""
    bench = Bench(replace(only(limits, "max_event"), kelly_fraction=1.0, depth_share=1.0))
    most = int(limits.max_event * bench.engine.equity())
    tickers = [f"{EVENT}-B{80 + 2 * n}.5" for n in range(4)]
    for ticker in tickers[1:]:
        bench.hear(MarketUpdate(market(ticker), NOW), quote(ticker, BID, ASK))
    bench.strategy.next = [
        replace(signal(f"drill: {ticker}", probability=0.9), ticker=ticker) for ticker in tickers
    ]
    reserved = sum(order.reserved for order in _orders(bench.hear(Tick(NOW)), Purpose.ENTRY))
    if 0 < reserved <= most:
        return ""
    return f"four orders at once reserve {dollars(reserved):.2f} dollars of at most {dollars(most):.2f}"


# --- halts --------------------------------------------------------------------------------------------


def _halt(limits: RiskLimits) -> str:
    """A halt cancels what rests, holds after a restart, and is not lifted by a resume."""
    bench = Bench(only(limits))
    (order,) = _orders(bench.said(signal()), Purpose.ENTRY)
    intent = order.intent
    bench.hear(OrderAccepted(intent.client_order_id, "venue drill", 0, intent.count, NOW, NOW))
    out = bench.hear(Command(CommandKind.HALT, "drill", "drill", NOW))
    if not any(isinstance(action, CancelOrder) for action in out):
        return "the resting order was not cancelled"
    (changed,) = [action for action in out if isinstance(action, StateChanged)]
    again = Bench(only(limits))
    again.engine.start(StoredState(state=changed.state, state_who=changed.who, state_why=changed.why), NOW)
    for each in (bench, again):
        each.hear(Command(CommandKind.RESUME, "drill", "drill", NOW), each.report())
        if problem := _expect(each, TradingState.HALTED, "drill"):
            return problem
    return ""


def _last_look(limits: RiskLimits) -> str:
    """An order that was approved before a halt does not leave after it."""
    bench = Bench(only(limits))
    (order,) = _orders(bench.said(signal()), Purpose.ENTRY)
    if bench.engine.withdrawn(order):
        return "an order was withdrawn for no reason"
    bench.hear(Command(CommandKind.HALT, "drill", "drill", NOW))
    return "" if bench.engine.withdrawn(order) else "an order approved before a halt may still leave"


def _exits_pass(limits: RiskLimits) -> str:
    """A halt never blocks the way out."""
    bench = Bench(only(limits), [Held(ELSEWHERE, 100 * DOLLAR_CASH, quote=_FLAT)])
    bench.hear(
        Command(CommandKind.HALT, "drill", "drill", NOW), Command(CommandKind.FLATTEN, "drill", "drill", NOW)
    )
    left = _orders(bench.hear(Tick(NOW + SECOND)), Purpose.EXIT)
    return "" if left else "no exit left while halted"


def _guard(limits: RiskLimits) -> str:
    """A check that raises has not let anything pass."""
    bench = Bench(only(limits))
    told = bench.say(signal(quoted="no price"))  # type: ignore[arg-type]
    if told == "approved":
        return "an order was approved although a check raised"
    return _expect(bench, TradingState.HALTED, "guard")


def _mismatch(limits: RiskLimits) -> str:
    """A position that nobody ordered, in two reports."""
    bench = Bench(only(limits))
    for minutes in (1, 2):
        bench.hear(bench.report(NOW + minutes * MINUTE, strange=7 * ONE_CONTRACT))
    return _expect(bench, TradingState.HALTED, "reconcile")


# --- losses -------------------------------------------------------------------------------------------


def _fall(limits: RiskLimits, held: Cash, balance: Cash) -> Bench:
    """What is held loses four fifths of its value between two marks."""
    bench = Bench(limits, [Held(ELSEWHERE, held, quote=_FLAT)], balance=balance)
    bench.hear(Tick(NOW), quote(ELSEWHERE, 900, 1_100, NOW + MINUTE), Tick(NOW + MINUTE))
    return bench


def _daily_loss(limits: RiskLimits) -> str:
    bench = _fall(only(limits, "max_daily_loss"), 2 * limits.max_daily_loss, _ROOM)
    return _expect(bench, TradingState.HALTED, "daily_loss")


def _soft_daily_loss(limits: RiskLimits) -> str:
    # Loses about 0.8 of what is held: between the soft and the hard level.
    held = int(limits.max_daily_loss * (1 + limits.soft_loss) / 2 / 0.8)
    if limits.soft_loss >= 0.95:
        return ""  # configured to coincide with the hard level, which is drilled by itself
    bench = _fall(only(limits, "max_daily_loss", "soft_loss"), held, _ROOM)
    if problem := _expect(bench, TradingState.REDUCING, "soft_daily_loss"):
        return problem
    told = bench.say(signal(), NOW + MINUTE)
    return "" if told == "trading_state" else f"an entry beyond the soft daily loss was {told}"


def _loss_24h(limits: RiskLimits) -> str:
    bench = _fall(replace(only(limits, "max_loss_24h"), soft_loss=1.0), 100 * DOLLAR_CASH, 0)
    if limits.max_loss_24h > 0.75:
        return ""  # no fall of four fifths reaches it; configured away
    return _expect(bench, TradingState.HALTED, "loss_24h")


def _drawdown(limits: RiskLimits) -> str:
    if limits.max_drawdown > 0.75:
        return ""  # no fall of four fifths reaches it; configured away
    bench = _fall(only(limits, "max_drawdown"), 100 * DOLLAR_CASH, 0)
    return _expect(bench, TradingState.HALTED, "drawdown")


def _soft_drawdown(limits: RiskLimits) -> str:
    """The same signal is staked with half as much once the fall is between the soft and the hard level."""
    share = limits.max_drawdown * (1 + limits.soft_loss) / 2
    if limits.soft_loss >= 0.95 or share > 0.75:
        return ""  # coincides with the hard level, which is drilled by itself, or is configured away
    held = 1_000 * DOLLAR_CASH
    balance = int(held * (0.8 / share - 1))
    counts = []
    for soft_loss in (1.0, limits.soft_loss):
        fall = replace(
            only(limits, "max_drawdown"), soft_loss=soft_loss, kelly_fraction=0.01, depth_share=1.0
        )
        bench = _fall(fall, held, balance)
        orders = _orders(bench.said(signal(), NOW + MINUTE), Purpose.ENTRY)
        counts.append(sum(order.intent.count for order in orders))
    return (
        ""
        if 0 < counts[1] < counts[0]
        else f"{counts[1]} contracts beyond the soft drawdown, {counts[0]} before"
    )


def _breaker(limits: RiskLimits) -> str:
    bench = Bench(only(limits, "consecutive_losses"))
    for _ in range(limits.consecutive_losses):
        bench.engine.control.on_closed(-1, NOW)
    return _expect(bench, TradingState.REDUCING, "circuit_breaker")


# --- exits --------------------------------------------------------------------------------------------


def _stop_loss(limits: RiskLimits) -> str:
    """A slide below the stop, seen twice on two-sided books."""
    stop = replace(only(limits), stop_loss=min(0.9, limits.stop_loss))
    bench = Bench(stop, [Held(ELSEWHERE, 100 * DOLLAR_CASH, quote=_FLAT)], price_stop=True)
    first, later = NOW + SECOND, NOW + 10 * SECOND
    bench.hear(quote(ELSEWHERE, 300, 500, first), Tick(first))
    out = bench.hear(quote(ELSEWHERE, 300, 500, later), Tick(later))
    return "" if _orders(out, Purpose.EXIT) else "a position far below its stop was kept"


def _timeout(limits: RiskLimits) -> str:
    bench = Bench(only(limits, "position_timeout"), [Held(ELSEWHERE, 100 * DOLLAR_CASH, quote=_FLAT)])
    late = NOW + limits.position_timeout
    out = bench.hear(quote(ELSEWHERE, *_FLAT, late), Tick(late))
    return "" if _orders(out, Purpose.EXIT) else "a position older than its time-out was kept"


REACTIONS: tuple[Reaction, ...] = (
    Reaction("min_edge", _min_edge),
    Reaction("kelly", _kelly),
    Reaction("reserves", _reserves),
    Reaction("halt", _halt),
    Reaction("withdrawn_before_send", _last_look),
    Reaction("exits_pass_a_halt", _exits_pass),
    Reaction("failing_check", _guard),
    Reaction("position_mismatch", _mismatch),
    Reaction("daily_loss_halt", _daily_loss),
    Reaction("soft_daily_loss", _soft_daily_loss),
    Reaction("loss_24h", _loss_24h),
    Reaction("drawdown", _drawdown),
    Reaction("soft_drawdown", _soft_drawdown),
    Reaction("circuit_breaker", _breaker),
    Reaction("stop_loss", _stop_loss),
    Reaction("position_timeout", _timeout),
)
