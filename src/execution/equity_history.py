"""What the account was worth: at the start of the trading day, over the last 24 hours, at its highest.

All of it is stored and comes back after a restart. Money moved by the owner is no profit and no loss: it
moves every level that equity is held against.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from src.core.actions import ControlValue
from src.core.units import DAY, HOUR, SECOND, Cash, Nanos

_NEW_YORK = ZoneInfo("America/New_York")
_HOURS = "equity_by_hour"
_PEAK = "equity_peak"


def trading_day(ts: Nanos) -> str:
    """The trading day (00:00 to 24:00 New York) of an instant, as ``YYYY-MM-DD``."""
    return _day_of_hour(ts // HOUR)


@lru_cache(maxsize=64)
def _day_of_hour(hour: int) -> str:
    # New York is whole hours behind UTC, so no day begins within an hour.
    return datetime.fromtimestamp(hour * (HOUR // SECOND), _NEW_YORK).date().isoformat()


def next_trading_day(ts: Nanos) -> Nanos:
    """The instant at which the next trading day begins."""
    day = datetime.fromtimestamp(ts // SECOND, _NEW_YORK).date() + timedelta(days=1)
    return int(datetime(day.year, day.month, day.day, tzinfo=_NEW_YORK).astimezone(UTC).timestamp()) * SECOND


class EquityHistory:
    """The levels that losses are measured from. Cash in 1e-6 dollars."""

    def __init__(self) -> None:
        self.day = ""
        self.day_start: Cash = 0
        self.day_pnl: Cash = 0
        self.peak: Cash | None = None
        # Highest mark of each hour since the epoch; the last 24 and the current one are kept.
        self._hours: dict[int, Cash] = {}
        self._last: Cash = 0

    def restore(self, values: Mapping[str, str]) -> None:
        """Bring the levels back from the store."""
        self.day = values.get("trading_day", "")
        self.day_start = int(values.get("day_start_equity", "0"))
        self.peak = int(values[_PEAK]) if _PEAK in values else None
        for item in values.get(_HOURS, "").split():
            hour, _, equity = item.partition(":")
            self._hours[int(hour)] = int(equity)

    def mark(self, equity: Cash, ts: Nanos) -> list[ControlValue]:
        """Note what the account is worth now; returns what changed for the store."""
        out: list[ControlValue] = []
        day, hour = trading_day(ts), ts // HOUR
        if day != self.day:
            self.day, self.day_start = day, equity
            out += [ControlValue("trading_day", day, ts), self._day_start_value(ts)]
        self.day_pnl = equity - self.day_start
        if self.peak is None or equity > self.peak:
            self.peak = equity
            out.append(self._peak_value(ts))
        if equity > self._hours.get(hour, equity - 1):
            self._hours[hour] = equity
            oldest = (ts - DAY) // HOUR
            self._hours = {at: height for at, height in self._hours.items() if at >= oldest}
            out.append(self._hours_value(ts))
        self._last = equity
        return out

    def move(self, amount: Cash, ts: Nanos) -> list[ControlValue]:
        """A deposit (or, negative, a withdrawal): every level moves with it."""
        self.day_start += amount
        self._hours = {hour: equity + amount for hour, equity in self._hours.items()}
        out = [self._day_start_value(ts), self._hours_value(ts)]
        if self.peak is not None:
            self.peak += amount
            out.append(self._peak_value(ts))
        return out

    def forgive_drawdown(self, ts: Nanos) -> list[ControlValue]:
        """A person looked at the drawdown: it is counted from the last mark on."""
        self.peak = self._last
        return [self._peak_value(ts)]

    def loss_24h(self, ts: Nanos) -> float:
        """Fall from the highest mark of the last 24 hours (by whole hours), as a share of that height."""
        oldest = (ts - DAY) // HOUR
        return self._fall(max([height for at, height in self._hours.items() if at >= oldest], default=0))

    @property
    def drawdown(self) -> float:
        """Fall from the highest mark ever, as a share of that height."""
        return self._fall(self.peak or 0)

    def _fall(self, height: Cash) -> float:
        return max(0, height - self._last) / height if height > 0 else 0.0

    def _day_start_value(self, ts: Nanos) -> ControlValue:
        return ControlValue("day_start_equity", str(self.day_start), ts)

    def _peak_value(self, ts: Nanos) -> ControlValue:
        return ControlValue(_PEAK, str(self.peak), ts)

    def _hours_value(self, ts: Nanos) -> ControlValue:
        return ControlValue(_HOURS, " ".join([f"{at}:{height}" for at, height in self._hours.items()]), ts)
