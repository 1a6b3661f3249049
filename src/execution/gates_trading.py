"""Checks of ourselves: state, switches, account, clock, positions, rates, losing streaks."""

from __future__ import annotations

from src.core.actions import GateResult, TradingState
from src.core.sides import Outcome
from src.core.units import DAY, HOUR, SECOND, dollars
from src.execution.limits import RiskLimits
from src.execution.risk_context import Gate, RiskContext, result


def _trading_state(c: RiskContext, _: RiskLimits) -> GateResult:
    return result(
        "trading_state",
        c.control.state is TradingState.ACTIVE,
        state=c.control.state.value,
        why=c.control.why,
    )


def _strategy_switch(c: RiskContext, limits: RiskLimits) -> GateResult:
    name = c.signal.strategy
    why = "risk.strategies_off" if name in limits.strategies_off else c.control.strategies_off.get(name, "")
    return result("strategy_off", not why, why=why)


def _store(c: RiskContext, _: RiskLimits) -> GateResult:
    return result("store_down", not c.store_down, reason=c.store_down)


def _clock(c: RiskContext, limits: RiskLimits) -> GateResult:
    if c.clock_offset is None:
        return result("clock_unknown", not limits.needs_clock_offset)
    offset = abs(c.clock_offset)
    return result("clock_offset", offset <= limits.max_clock_offset, offset_s=offset / SECOND)


def _account(c: RiskContext, limits: RiskLimits) -> GateResult:
    if c.account_ts is None:
        return result("account_unknown", False)
    age = c.now - c.account_ts
    return result("account_stale", age <= limits.max_account_age, age_s=age / SECOND)


def _equity(c: RiskContext, _: RiskLimits) -> GateResult:
    return result("equity_unknown", c.equity_known, equity_dollars=dollars(c.equity))


def _position_state(c: RiskContext, _: RiskLimits) -> GateResult:
    opposite = c.held < 0 if c.signal.outcome is Outcome.YES else c.held > 0
    if opposite:
        return result("opposite_position", False, held=c.held / 100)
    if c.working:
        return result("order_working", False)
    return result("stopped_out", not c.stopped_out)


def _refused_lately(c: RiskContext, _: RiskLimits) -> GateResult:
    wait = max(0, c.refused_until - c.now)
    return result("refused_lately", not wait, times=c.refused_times, wait_s=wait / SECOND)


def _exit_liveness(c: RiskContext, _: RiskLimits) -> GateResult:
    return result("exit_liveness", not c.unexitable, market=c.unexitable)


def _cooldown(c: RiskContext, limits: RiskLimits) -> GateResult:
    last = c.control.last_loss_ts
    since = c.now - last if last is not None else limits.cooldown_after_loss
    return result("cooldown_after_loss", since >= limits.cooldown_after_loss, since_s=since / SECOND)


def _breaker(c: RiskContext, limits: RiskLimits) -> GateResult:
    losses = c.control.losses_in_a_row
    return result(
        "consecutive_losses",
        losses < limits.consecutive_losses,
        losses=losses,
        limit=limits.consecutive_losses,
    )


def _trades_hour(c: RiskContext, limits: RiskLimits) -> GateResult:
    trades, limit = c.control.trades_since(c.now, HOUR), limits.max_trades_per_hour
    return result("trades_per_hour", trades < limit, trades=trades, limit=limit)


def _trades_day(c: RiskContext, limits: RiskLimits) -> GateResult:
    trades, limit = c.control.trades_since(c.now, DAY), limits.max_trades_per_day
    return result("trades_per_day", trades < limit, trades=trades, limit=limit)


def _open_positions(c: RiskContext, limits: RiskLimits) -> GateResult:
    # A market already held or worked adds no position.
    adds = not any(line.ticker == c.signal.ticker for line in c.exposure.lines)
    fits = not adds or c.open_positions < limits.max_open_positions
    return result("max_open_positions", fits, open=c.open_positions, limit=limits.max_open_positions)


TRADING_GATES = (
    Gate("trading_state", _trading_state),
    Gate("strategy_switch", _strategy_switch),
    Gate("store", _store),
    Gate("clock", _clock),
    Gate("account", _account),
    Gate("equity", _equity),
)
POSITION_GATES = (
    Gate("position_state", _position_state),
    Gate("refused_lately", _refused_lately),
    Gate("exit_liveness", _exit_liveness),
    Gate("cooldown_after_loss", _cooldown),
    Gate("consecutive_losses", _breaker),
    Gate("trades_per_hour", _trades_hour),
    Gate("trades_per_day", _trades_day),
    Gate("max_open_positions", _open_positions),
)
