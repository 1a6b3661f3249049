"""May we trade? The trading state, the loss limits and the breakers, all of which survive a restart."""

from __future__ import annotations

import json
from bisect import bisect_right, insort
from collections.abc import Mapping
from dataclasses import astuple, dataclass

from src.core.actions import Alert, AuditRecord, ControlValue, Severity, StateChanged, TradingState
from src.core.units import DAY, SECOND, Cash, Nanos, dollars
from src.execution.equity_history import EquityHistory, next_trading_day
from src.execution.limits import RiskLimits

Output = list[AuditRecord | Alert]
_REDUCTIONS = "reductions"
_BREAKER = "circuit_breaker"
_DRAWDOWN = "drawdown"
_OFF = "strategy_off:"
_SOFT = "soft_level:"


@dataclass(frozen=True, slots=True)
class Reduction:
    """One cause for which entries are stopped, until a moment or (None) until a person resumes."""

    who: str
    why: str
    until: Nanos | None


class TradingControl:
    """ACTIVE / REDUCING / HALTED with who, why and until; loss limits; loss streaks; trade rates.

    A halt is left by ``clear_halt`` only. REDUCING lasts while any of its causes does: each ends by itself,
    and the end of one lifts no other.
    """

    def __init__(self, limits: RiskLimits) -> None:
        self._limits = limits
        self.state = TradingState.STARTING
        self.who = self.why = ""
        self.until: Nanos | None = None
        self.equity = EquityHistory()
        self.losses_in_a_row = 0
        self.last_loss_ts: Nanos | None = None
        self.strategies_off: dict[str, str] = {}
        self.reductions: dict[str, Reduction] = {}
        self._soft_days: dict[str, str] = {}
        self._trades: list[Nanos] = []  # ascending

    def restore(self, values: Mapping[str, str], trades: list[Nanos]) -> None:
        """Bring everything back from the store. ``trades``: creation times of our entry orders."""
        self.losses_in_a_row = int(values.get("losses_in_a_row", "0"))
        self.last_loss_ts = int(values["last_loss_ts"]) if "last_loss_ts" in values else None
        self.equity.restore(values)
        for who, why, until in json.loads(values.get(_REDUCTIONS, "[]")):
            self.reductions[who] = Reduction(who, why, until)
        for key, value in values.items():
            if key.startswith(_OFF) and value:
                self.strategies_off[key.removeprefix(_OFF)] = value
            elif key.startswith(_SOFT):
                self._soft_days[key.removeprefix(_SOFT)] = value
        self._trades = sorted(trades)

    # --- states ------------------------------------------------------------------------------------

    def set_state(
        self, state: TradingState, who: str, why: str, ts: Nanos, until: Nanos | None = None
    ) -> Output:
        """Change the state. Nothing weaker lifts a halt; ACTIVE waits until no cause of REDUCING is left."""
        if state is TradingState.HALTED:
            # Hysteresis: however often its cause comes and goes, it is one halt and one alert.
            return [] if self.state is state else self._enter(state, who, why, ts, until)
        if state is TradingState.REDUCING:
            return self._reduce(who, why, ts, until)
        if self.state is TradingState.HALTED:
            return []
        lasting = any(each.until is None or each.until > ts for each in self.reductions.values())
        if state is TradingState.ACTIVE and lasting:
            return self._show_reduction(ts)
        return [] if (state, why) == (self.state, self.why) else self._enter(state, who, why, ts, until)

    def resume(self, who: str, why: str, ts: Nanos, *, reconciled: bool) -> Output:
        """A person lifts every cause of REDUCING, the losing streak included. A halt stays."""
        if self.state is TradingState.HALTED:
            return []
        out = [*self._keep_reductions({}, ts), *self._forget_losses(ts)]
        if self.state is TradingState.REDUCING:
            state = TradingState.ACTIVE if reconciled else TradingState.RECONCILING
            out += self._enter(state, who, why, ts, None)
        return out

    def clear_halt(self, who: str, why: str, ts: Nanos) -> Output:
        """A person clears a halt: back to RECONCILING, trading resumes after the next good report.

        Daily and 24-hour losses stand: while they exceed their limits, the next mark halts again.
        """
        if self.state is not TradingState.HALTED:
            return []
        forgiven = self.equity.forgive_drawdown(ts) if self.who == _DRAWDOWN else []
        out = self._enter(TradingState.RECONCILING, who, why, ts, None)
        return [*out, *forgiven, *self._forget_losses(ts)]

    def on_time(self, ts: Nanos) -> Output:
        """Causes of REDUCING end when their time is over."""
        ended = [each for each in self.reductions.values() if each.until is not None and ts >= each.until]
        if not ended:
            return []
        left = {who: each for who, each in self.reductions.items() if each not in ended}
        out = self._keep_reductions(left, ts)
        if any(each.who == _BREAKER for each in ended):
            out += self._forget_losses(ts)
        if self.state is TradingState.REDUCING:
            over = f"{ended[-1].why}: time over"
            out += self._show_reduction(ts) if left else self._enter_active(over, ts)
        return out

    def switch_strategy(self, name: str, who: str, why: str, ts: Nanos, *, on: bool) -> Output:
        """Stop (or allow again) entries of one strategy; its positions are managed as before."""
        if on is (name not in self.strategies_off):
            return []
        if on:
            del self.strategies_off[name]
        else:
            self.strategies_off[name] = f"{who}: {why}"
        text = f"strategy {name} switched {'on' if on else 'off'} by {who}: {why}"
        return [
            ControlValue(f"{_OFF}{name}", self.strategies_off.get(name, ""), ts),
            Alert(Severity.WARNING, f"strategy:{name}", text, ts),
        ]

    # --- losses ------------------------------------------------------------------------------------

    def mark_equity(self, equity: Cash, ts: Nanos) -> Output:
        """Hold what the account is worth against the loss limits; roll the trading day."""
        out: Output = [*self.equity.mark(equity, ts)]
        limits, day_loss, loss_24h = self._limits, -self.equity.day_pnl, self.equity.loss_24h(ts)
        for who, lost, limit, text in (
            ("daily_loss", day_loss, limits.max_daily_loss, f"daily loss {dollars(day_loss):.2f} dollars"),
            ("loss_24h", loss_24h, limits.max_loss_24h, f"loss of 24 hours {loss_24h:.1%}"),
        ):
            shown = f"{dollars(int(limit)):.2f}" if who == "daily_loss" else f"{limit:.1%}"
            if lost >= limit > 0:
                out += self.set_state(TradingState.HALTED, who, f"{text} reached the limit {shown}", ts)
            elif lost >= limit * limits.soft_loss > 0:
                out += self._soft_level(f"soft_{who}", f"{text}, hard limit {shown}", ts)
        if self._beyond_soft_drawdown:
            out += self._halve_stakes(ts)
        if self.equity.drawdown >= limits.max_drawdown:
            why = f"drawdown {self.equity.drawdown:.1%} reached the limit {limits.max_drawdown:.1%}"
            out += self.set_state(TradingState.HALTED, _DRAWDOWN, why, ts)
        return out

    @property
    def kelly_fraction(self) -> float:
        """The Kelly fraction in force: half of the configured one beyond the soft level of the drawdown.

        It follows from the stored peak and the last mark, so that a restart does not lift it.
        """
        return self._limits.kelly_fraction * (0.5 if self._beyond_soft_drawdown else 1.0)

    @property
    def _beyond_soft_drawdown(self) -> bool:
        return self.equity.drawdown >= self._limits.max_drawdown * self._limits.soft_loss > 0

    def move_cash(self, amount: Cash, ts: Nanos) -> Output:
        """A deposit or withdrawal is no profit and no loss."""
        return [*self.equity.move(amount, ts)]

    def on_closed(self, pnl: Cash, ts: Nanos) -> Output:
        """A position was closed or settled: count losing streaks, trip the breaker."""
        if pnl >= 0:
            return self._forget_losses(ts) if self.losses_in_a_row else []
        self.losses_in_a_row += 1
        self.last_loss_ts = ts
        out: Output = [
            ControlValue("losses_in_a_row", str(self.losses_in_a_row), ts),
            ControlValue("last_loss_ts", str(ts), ts),
        ]
        if self.losses_in_a_row >= self._limits.consecutive_losses:
            why = f"{self.losses_in_a_row} losses in a row (limit {self._limits.consecutive_losses})"
            out += self._reduce(_BREAKER, why, ts, next_trading_day(ts))
        return out

    def on_clock_offset(self, offset: Nanos, ts: Nanos) -> Output:
        """A clock this far from the exchange's makes every age and close time wrong: halt."""
        if abs(offset) <= self._limits.halt_clock_offset or self.state is TradingState.HALTED:
            return []
        why = f"our clock is {offset / SECOND:+.1f} s from the exchange's: synchronise it and start again"
        return self._enter(TradingState.HALTED, "clock", why, ts, None)

    # --- rates -------------------------------------------------------------------------------------

    def count_trade(self, ts: Nanos) -> None:
        """An entry order was approved."""
        insort(self._trades, ts)

    def trades_since(self, ts: Nanos, span: Nanos) -> int:
        """Entry orders approved within ``span`` (an hour or a day) before ``ts``."""
        del self._trades[: bisect_right(self._trades, ts - DAY)]
        return len(self._trades) - bisect_right(self._trades, ts - span)

    # --- inside ------------------------------------------------------------------------------------

    def _soft_level(self, who: str, why: str, ts: Nanos) -> Output:
        """Once a trading day: who resumes knowingly is not stopped again before the hard limit."""
        first = self._first_today(who, ts)
        return [*first, *self._reduce(who, why, ts, next_trading_day(ts))] if first else []

    def _halve_stakes(self, ts: Nanos) -> Output:
        """Told once a trading day; what is staked is looked up order by order."""
        first = self._first_today(f"soft_{_DRAWDOWN}", ts)
        if not first:
            return []
        limit = self._limits.max_drawdown
        text = (
            f"drawdown {self.equity.drawdown:.1%}: stakes are halved until it is below "
            f"{limit * self._limits.soft_loss:.1%}; {limit:.1%} halts"
        )
        return [*first, Alert(Severity.WARNING, f"soft_{_DRAWDOWN}", text, ts)]

    def _first_today(self, who: str, ts: Nanos) -> Output:
        """The record that remembers a soft level of this trading day; nothing when it was reached before."""
        day = self.equity.day
        if self._soft_days.get(who) == day:
            return []
        self._soft_days[who] = day
        return [ControlValue(f"{_SOFT}{who}", day, ts)]

    def _reduce(self, who: str, why: str, ts: Nanos, until: Nanos | None) -> Output:
        """Add a cause of REDUCING; while halted it only waits for the halt to be cleared."""
        known = self.reductions.get(who)
        if known is not None and (known.why, known.until) == (why, until):
            return self._show_reduction(ts)
        out = self._keep_reductions({**self.reductions, who: Reduction(who, why, until)}, ts)
        if known is None and self.state is TradingState.REDUCING:
            text = f"REDUCING also by {who}: {why}"
            out.append(Alert(Severity.WARNING, f"state:{TradingState.REDUCING.value}", text, ts))
        return out + self._show_reduction(ts)

    def _show_reduction(self, ts: Nanos) -> Output:
        """REDUCING is shown with the cause that lasts longest."""
        if self.state is TradingState.HALTED:
            return []
        lead = max(self.reductions.values(), key=lambda each: (each.until is None, each.until or 0))
        if (self.state, self.who, self.why) == (TradingState.REDUCING, lead.who, lead.why):
            return []
        first = self.state is not TradingState.REDUCING
        out = self._enter(TradingState.REDUCING, lead.who, lead.why, ts, lead.until)
        return out if first else [record for record in out if not isinstance(record, Alert)]

    def _enter_active(self, why: str, ts: Nanos) -> Output:
        return self._enter(TradingState.ACTIVE, "system", why, ts, None)

    def _keep_reductions(self, reductions: dict[str, Reduction], ts: Nanos) -> Output:
        if reductions == self.reductions:
            return []
        self.reductions = reductions
        return [ControlValue(_REDUCTIONS, json.dumps([astuple(each) for each in reductions.values()]), ts)]

    def _forget_losses(self, ts: Nanos) -> Output:
        self.losses_in_a_row = 0
        return [ControlValue("losses_in_a_row", "0", ts)]

    def _enter(self, state: TradingState, who: str, why: str, ts: Nanos, until: Nanos | None) -> Output:
        self.state, self.who, self.why, self.until = state, who, why, until
        out: Output = [StateChanged(state, who, why, until, ts)]
        severity = Severity.CRITICAL if state is TradingState.HALTED else Severity.WARNING
        if state in {TradingState.HALTED, TradingState.REDUCING}:
            out.append(Alert(severity, f"state:{state.value}", f"{state.value.upper()} by {who}: {why}", ts))
        return out
