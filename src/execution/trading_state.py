"""May we trade? The trading state, the loss limits and the breakers, all of which survive a restart."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from src.core.actions import Alert, AuditRecord, ControlValue, Severity, StateChanged, TradingState
from src.core.units import DAY, HOUR, SECOND, Cash, Nanos, dollars
from src.execution.limits import RiskLimits

_NEW_YORK = ZoneInfo("America/New_York")
Output = list[AuditRecord | Alert]


def trading_day(ts: Nanos) -> str:
    """The trading day (00:00 to 24:00 New York) of an instant, as ``YYYY-MM-DD``."""
    return datetime.fromtimestamp(ts // SECOND, _NEW_YORK).date().isoformat()


def next_trading_day(ts: Nanos) -> Nanos:
    """The instant at which the next trading day begins."""
    day = datetime.fromtimestamp(ts // SECOND, _NEW_YORK).date() + timedelta(days=1)
    return int(datetime(day.year, day.month, day.day, tzinfo=_NEW_YORK).astimezone(UTC).timestamp()) * SECOND


class TradingControl:
    """ACTIVE / REDUCING / HALTED with who, why and until; day profit; loss streaks; trade rates."""

    def __init__(self, limits: RiskLimits) -> None:
        self._limits = limits
        self.state = TradingState.STARTING
        self.who = self.why = ""
        self.until: Nanos | None = None
        self.day = ""
        self.day_start_equity: Cash = 0
        self.day_pnl: Cash = 0
        self.losses_in_a_row = 0
        self.last_loss_ts: Nanos | None = None
        self._trades: deque[Nanos] = deque()

    def restore(self, values: Mapping[str, str], trades: list[Nanos]) -> None:
        """Bring counters back from the store. ``trades``: creation times of our entry orders."""
        self.losses_in_a_row = int(values.get("losses_in_a_row", "0"))
        self.last_loss_ts = int(values["last_loss_ts"]) if "last_loss_ts" in values else None
        self.day = values.get("trading_day", "")
        self.day_start_equity = int(values.get("day_start_equity", "0"))
        self._trades.extend(sorted(trades))

    def set_state(
        self, state: TradingState, who: str, why: str, ts: Nanos, until: Nanos | None = None
    ) -> Output:
        """Change the state. A halt is only left by ``clear_halt``; anything weaker is ignored then."""
        if self.state is TradingState.HALTED and state is not TradingState.HALTED:
            return []
        if (state, why) == (self.state, self.why):
            return []
        return self._enter(state, who, why, ts, until)

    def clear_halt(self, who: str, why: str, ts: Nanos) -> Output:
        """A person clears a halt: back to RECONCILING, trading resumes after the next good report."""
        if self.state is not TradingState.HALTED:
            return []
        self.losses_in_a_row = 0
        out = self._enter(TradingState.RECONCILING, who, why, ts, None)
        return [*out, ControlValue("losses_in_a_row", "0", ts)]

    def on_time(self, ts: Nanos) -> Output:
        """A timed REDUCING ends when its time is over."""
        if self.state is TradingState.REDUCING and self.until is not None and ts >= self.until:
            self.losses_in_a_row = 0
            out = self._enter(TradingState.ACTIVE, "system", f"{self.why}: time over", ts, None)
            return [*out, ControlValue("losses_in_a_row", "0", ts)]
        return []

    def mark_equity(self, equity: Cash, ts: Nanos) -> Output:
        """Roll the trading day, update its profit, halt at the daily loss limit."""
        out: Output = []
        day = trading_day(ts)
        if day != self.day:
            self.day, self.day_start_equity = day, equity
            out += [ControlValue("trading_day", day, ts), ControlValue("day_start_equity", str(equity), ts)]
        self.day_pnl = equity - self.day_start_equity
        if self.day_pnl <= -self._limits.max_daily_loss and self.state is not TradingState.HALTED:
            limit = dollars(self._limits.max_daily_loss)
            why = f"daily loss {-dollars(self.day_pnl):.2f} reached the limit {limit:.2f}"
            out += self._enter(TradingState.HALTED, "daily_loss", why, ts, None)
        return out

    def adjust_day_start(self, amount: Cash, ts: Nanos) -> Output:
        """A deposit or withdrawal is no profit: move the day's starting equity with it."""
        self.day_start_equity += amount
        return [ControlValue("day_start_equity", str(self.day_start_equity), ts)]

    def on_closed(self, pnl: Cash, ts: Nanos) -> Output:
        """A position was closed or settled: count losing streaks, trip the breaker."""
        if pnl >= 0:
            changed = self.losses_in_a_row != 0
            self.losses_in_a_row = 0
            return [ControlValue("losses_in_a_row", "0", ts)] if changed else []
        self.losses_in_a_row += 1
        self.last_loss_ts = ts
        out: Output = [
            ControlValue("losses_in_a_row", str(self.losses_in_a_row), ts),
            ControlValue("last_loss_ts", str(ts), ts),
        ]
        if self.losses_in_a_row >= self._limits.consecutive_losses and self.state is TradingState.ACTIVE:
            why = f"{self.losses_in_a_row} losses in a row (limit {self._limits.consecutive_losses})"
            out += self._enter(TradingState.REDUCING, "circuit_breaker", why, ts, next_trading_day(ts))
        return out

    def on_clock_offset(self, offset: Nanos, ts: Nanos) -> Output:
        """A clock this far from the exchange's makes every age and close time wrong: halt."""
        if abs(offset) <= self._limits.halt_clock_offset or self.state is TradingState.HALTED:
            return []
        why = f"our clock is {offset / SECOND:+.1f} s from the exchange's: synchronise it and start again"
        return self._enter(TradingState.HALTED, "clock", why, ts, None)

    def count_trade(self, ts: Nanos) -> None:
        """An entry order was approved."""
        self._trades.append(ts)

    def trades_since(self, ts: Nanos, span: Nanos) -> int:
        """Entry orders approved within ``span`` (an hour or a day) before ``ts``."""
        while self._trades and self._trades[0] <= ts - DAY:
            self._trades.popleft()
        return sum(1 for trade in self._trades if trade > ts - span)

    def trades_last_hour(self, ts: Nanos) -> int:
        """Entry orders approved within the last hour."""
        return self.trades_since(ts, HOUR)

    def _enter(self, state: TradingState, who: str, why: str, ts: Nanos, until: Nanos | None) -> Output:
        self.state, self.who, self.why, self.until = state, who, why, until
        out: Output = [StateChanged(state, who, why, until, ts)]
        severity = Severity.CRITICAL if state is TradingState.HALTED else Severity.WARNING
        if state in {TradingState.HALTED, TradingState.REDUCING}:
            out.append(Alert(severity, f"state:{state.value}", f"{state.value.upper()} by {who}: {why}", ts))
        return out
