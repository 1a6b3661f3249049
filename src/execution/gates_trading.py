"""Checks of ourselves: state, switches, account, clock, positions, rates, losing streaks."""

from __future__ import annotations

from src.core.actions import GateResult, TradingState
from src.core.sides import Outcome
from src.core.units import DAY, HOUR, SECOND, dollars
from src.execution.limits import RiskLimits
from src.execution.risk_context import PASSED, Gate, RiskContext, refused


def _trading_state(c: RiskContext, _: RiskLimits) -> GateResult:
    if c.control.state is TradingState.ACTIVE:
        return PASSED
    return refused("trading_state", state=c.control.state.value, why=c.control.why)


def _strategy_switch(c: RiskContext, limits: RiskLimits) -> GateResult:
    name = c.signal.strategy
    why = "risk.strategies_off" if name in limits.strategies_off else c.control.strategies_off.get(name, "")
    return refused("strategy_off", why=why) if why else PASSED


def _store(c: RiskContext, _: RiskLimits) -> GateResult:
    return refused("store_down", reason=c.store_down) if c.store_down else PASSED


def _clock(c: RiskContext, limits: RiskLimits) -> GateResult:
    if c.clock_offset is None:
        return refused("clock_unknown") if limits.needs_clock_offset else PASSED
    offset = abs(c.clock_offset)
    return PASSED if offset <= limits.max_clock_offset else refused("clock_offset", offset_s=offset / SECOND)


def _account(c: RiskContext, limits: RiskLimits) -> GateResult:
    if c.account_ts is None:
        return refused("account_unknown")
    age = c.now - c.account_ts
    return PASSED if age <= limits.max_account_age else refused("account_stale", age_s=age / SECOND)


def _equity(c: RiskContext, _: RiskLimits) -> GateResult:
    return PASSED if c.equity_known else refused("equity_unknown", equity_dollars=dollars(c.equity))


def _position_state(c: RiskContext, _: RiskLimits) -> GateResult:
    opposite = c.held < 0 if c.signal.outcome is Outcome.YES else c.held > 0
    if opposite:
        return refused("opposite_position", held=c.held / 100)
    if c.working:
        return refused("order_working")
    return refused("stopped_out") if c.stopped_out else PASSED


def _refused_lately(c: RiskContext, _: RiskLimits) -> GateResult:
    wait = c.refused_until - c.now
    return PASSED if wait <= 0 else refused("refused_lately", times=c.refused_times, wait_s=wait / SECOND)


def _exit_liveness(c: RiskContext, _: RiskLimits) -> GateResult:
    return refused("exit_liveness", market=c.unexitable) if c.unexitable else PASSED


def _cooldown(c: RiskContext, limits: RiskLimits) -> GateResult:
    if c.control.last_loss_ts is None:
        return PASSED
    since = c.now - c.control.last_loss_ts
    if since >= limits.cooldown_after_loss:
        return PASSED
    return refused("cooldown_after_loss", since_s=since / SECOND)


def _breaker(c: RiskContext, limits: RiskLimits) -> GateResult:
    losses, limit = c.control.losses_in_a_row, limits.consecutive_losses
    return PASSED if losses < limit else refused("consecutive_losses", losses=losses, limit=limit)


def _trades_hour(c: RiskContext, limits: RiskLimits) -> GateResult:
    trades, limit = c.control.trades_since(c.now, HOUR), limits.max_trades_per_hour
    return PASSED if trades < limit else refused("trades_per_hour", trades=trades, limit=limit)


def _trades_day(c: RiskContext, limits: RiskLimits) -> GateResult:
    trades, limit = c.control.trades_since(c.now, DAY), limits.max_trades_per_day
    return PASSED if trades < limit else refused("trades_per_day", trades=trades, limit=limit)


def _open_positions(c: RiskContext, limits: RiskLimits) -> GateResult:
    limit = limits.max_open_positions
    # A market already held or worked adds no position.
    if c.open_positions < limit or any(line.ticker == c.signal.ticker for line in c.exposure.lines):
        return PASSED
    return refused("max_open_positions", open=c.open_positions, limit=limit)


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
