"""One synthetic violation for each refusal of the risk gate; none of them may be approved.

Each keeps the user's own value of the limit it violates and opens all others wide, so that exactly one
control can refuse; without the violation the same signal must be approved, or the drill would prove nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from src.core.events import (
    BookInvalid,
    BookSnapshot,
    ClockOffset,
    Command,
    CommandKind,
    ExchangeSchedule,
    ExchangeStatus,
    LifecycleKind,
    MarketLifecycle,
    MarketUpdate,
    OrderRejected,
    StoreHealth,
    Tick,
)
from src.core.sides import Outcome
from src.core.units import DOLLAR_CASH, HOUR, SECOND, Cash
from src.execution.drill_bench import Bench, GateDrill
from src.execution.drill_props import (
    ASK,
    BID,
    ELSEWHERE,
    EVENT,
    NOW,
    STRATEGY,
    TICKER,
    Held,
    market,
    only,
    quote,
    signal,
    stopped_out,
)
from src.execution.limits import RiskLimits
from src.execution.risk import Approved

_SMALL: Cash = 1_000 * DOLLAR_CASH
_MUCH: Cash = 2_000 * DOLLAR_CASH
_SIBLING = f"{EVENT}-B82.5"


def _gate(control: str, refusal: str, keeps: tuple[str, ...], play: Callable[[RiskLimits], str]) -> GateDrill:
    def clean(limits: RiskLimits) -> str:
        return Bench(only(limits, *keeps)).say(signal(quoted=ASK))

    return GateDrill(control, refusal, lambda limits: play(only(limits, *keeps)), clean)


# --- gates: the limits handed in are already opened but for the one under test ------------------------


def _halted(limits: RiskLimits) -> str:
    bench = Bench(limits)
    bench.hear(Command(CommandKind.HALT, "drill", "drill", NOW))
    return bench.say(signal())


def _switched_off(limits: RiskLimits) -> str:
    bench = Bench(limits)
    bench.hear(Command(CommandKind.STRATEGY_OFF, "drill", "drill", NOW, STRATEGY))
    return bench.say(signal())


def _clock_is_off(limits: RiskLimits) -> str:
    bench = Bench(limits)
    bench.hear(ClockOffset(-limits.max_clock_offset - 1, NOW))
    return bench.say(signal())


def _store_is_down(limits: RiskLimits) -> str:
    bench = Bench(limits)
    bench.hear(StoreHealth("drill", NOW))
    return bench.say(signal())


def _late_account(limits: RiskLimits) -> str:
    later = NOW + limits.max_account_age + SECOND
    return Bench(limits).say(signal(), later)


def _exchange_paused(limits: RiskLimits) -> str:
    bench = Bench(limits)
    bench.hear(ExchangeStatus(True, False, NOW))
    return bench.say(signal())


def _shard_paused(limits: RiskLimits) -> str:
    bench = Bench(limits)
    bench.hear(ExchangeStatus(True, True, NOW, frozenset({0})))
    return bench.say(signal())


def _pause_comes(limits: RiskLimits) -> str:
    bench = Bench(limits)
    begin = NOW + limits.min_time_to_pause // 2
    bench.hear(ExchangeSchedule(((begin, begin + HOUR),), NOW))
    return bench.say(signal())


def _market_inactive(limits: RiskLimits) -> str:
    bench = Bench(limits)
    bench.hear(MarketLifecycle(TICKER, LifecycleKind.DEACTIVATED, NOW))
    return bench.say(signal())


def _rules_reworded(limits: RiskLimits) -> str:
    bench = Bench(limits)
    for rules in ("as the first source says", "as another source says"):
        bench.hear(MarketUpdate(replace(market(TICKER), rules_primary=rules), NOW))
    return bench.say(signal())


def _market_closes(limits: RiskLimits) -> str:
    bench = Bench(limits)
    bench.hear(MarketUpdate(market(TICKER, NOW + max(1, limits.min_time_to_close - 1)), NOW))
    return bench.say(signal())


def _book_in_doubt(limits: RiskLimits) -> str:
    bench = Bench(limits)
    bench.hear(BookInvalid((TICKER,), "drill", NOW))
    return bench.say(signal())


def _one_sided(limits: RiskLimits) -> str:
    bench = Bench(limits)
    bench.hear(BookSnapshot(TICKER, (), ((ASK, 100_000),), 2, NOW, NOW))
    return bench.say(signal())


def _late_feed(limits: RiskLimits) -> str:
    bench = Bench(limits)
    bench.hear(quote(TICKER, BID, ASK, sent=NOW - limits.max_feed_lag - SECOND))
    return bench.say(signal())


def _old_signal(limits: RiskLimits) -> str:
    return Bench(limits).late(signal(), NOW + limits.max_signal_age + SECOND)


def _price_ran_away(limits: RiskLimits) -> str:
    return Bench(limits).say(signal(quoted=int(ASK / (1 + limits.max_slippage) * 0.9)))


def _order_working(limits: RiskLimits) -> str:
    bench = Bench(limits)
    bench.say(signal("drill: first"))
    return bench.say(signal("drill: second"))


def _refused_by_the_venue(limits: RiskLimits) -> str:
    bench = Bench(limits)
    sent = [action for action in bench.said(signal("drill: first")) if isinstance(action, Approved)]
    bench.hear(*(OrderRejected(order.intent.client_order_id, "drill", "drill", NOW) for order in sent))
    return bench.say(signal("drill: second"))


def _no_way_out(limits: RiskLimits) -> str:
    bench = Bench(limits, [Held(_SIBLING, DOLLAR_CASH)])
    bench.hear(BookSnapshot(_SIBLING, (), ((ASK, 100_000),), 2, NOW, NOW), Tick(NOW))
    return bench.say(signal())


def _after_a_loss(limits: RiskLimits) -> str:
    limits = replace(limits, cooldown_after_loss=max(SECOND, limits.cooldown_after_loss))
    return Bench(limits, values={"last_loss_ts": str(NOW)}).say(signal())


def _losing_streak(limits: RiskLimits) -> str:
    return Bench(limits, values={"losses_in_a_row": str(limits.consecutive_losses)}).say(signal())


def _many_trades(limits: RiskLimits) -> str:
    bench = Bench(limits)
    for _ in range(min(limits.max_trades_per_hour, limits.max_trades_per_day)):
        bench.engine.control.count_trade(NOW)
    return bench.say(signal())


def _many_positions(limits: RiskLimits) -> str:
    held = [Held(f"KXDRILL-26JUN16-N{n}", DOLLAR_CASH) for n in range(limits.max_open_positions)]
    return Bench(limits, held).say(signal())


GATE_DRILLS: tuple[GateDrill, ...] = (
    _gate("trading_state", "trading_state", (), _halted),
    _gate("strategy_switch", "strategy_off", (), _switched_off),
    _gate(
        "strategy_switch",
        "strategy_off",
        (),
        lambda limits: Bench(replace(limits, strategies_off=frozenset({STRATEGY}))).say(signal()),
    ),
    _gate("store", "store_down", (), _store_is_down),
    _gate("clock", "clock_offset", ("max_clock_offset",), _clock_is_off),
    _gate(
        "clock",
        "clock_unknown",
        (),
        lambda limits: Bench(replace(limits, needs_clock_offset=True), clock_known=False).say(signal()),
    ),
    _gate("account", "account_stale", ("max_account_age",), _late_account),
    _gate(
        "equity",
        "equity_unknown",
        (),
        lambda limits: Bench(limits, [Held(ELSEWHERE, _MUCH, quote=None)]).say(signal()),
    ),
    _gate("exchange_status", "exchange_status", (), _exchange_paused),
    _gate("exchange_status", "exchange_status", (), _shard_paused),
    _gate(
        "exchange_status",
        "exchange_status_unknown",
        (),
        lambda limits: Bench(replace(limits, needs_exchange_status=True), status_known=False).say(signal()),
    ),
    _gate("pause_ahead", "pause_ahead", ("min_time_to_pause",), _pause_comes),
    _gate("market_open", "market_closed", (), _market_inactive),
    _gate("market_open", "closing_soon", ("min_time_to_close",), _market_closes),
    _gate("rules_changed", "rules_changed", (), _rules_reworded),
    _gate("book", "no_valid_book", (), _book_in_doubt),
    _gate("book", "book_one_sided", (), _one_sided),
    _gate("book", "feed_lag", ("max_feed_lag",), _late_feed),
    _gate("signal_age", "signal_age", ("max_signal_age",), _old_signal),
    _gate("slippage", "slippage", ("max_slippage",), _price_ran_away),
    _gate(
        "position_state",
        "opposite_position",
        (),
        lambda limits: Bench(limits, [Held(TICKER, _MUCH, Outcome.NO, None)]).say(signal()),
    ),
    _gate("position_state", "order_working", (), _order_working),
    _gate(
        "position_state", "stopped_out", (), lambda limits: Bench(limits, exits=[stopped_out()]).say(signal())
    ),
    _gate("refused_lately", "refused_lately", (), _refused_by_the_venue),
    _gate("exit_liveness", "exit_liveness", (), _no_way_out),
    _gate("cooldown_after_loss", "cooldown_after_loss", ("cooldown_after_loss",), _after_a_loss),
    _gate("consecutive_losses", "consecutive_losses", ("consecutive_losses",), _losing_streak),
    _gate("trades_per_hour", "trades_per_hour", ("max_trades_per_hour",), _many_trades),
    _gate("trades_per_day", "trades_per_day", ("max_trades_per_day",), _many_trades),
    _gate("max_open_positions", "max_open_positions", ("max_open_positions",), _many_positions),
)
