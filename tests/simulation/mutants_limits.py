"""Known bugs of limits: caps that do not bind, and levels and switches that a restart forgets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from src.core.units import DOLLAR_PRICE
from src.execution import risk
from src.execution.equity_history import EquityHistory
from src.execution.exposure import Line
from src.execution.limits import RiskLimits
from src.execution.risk_context import Cap, RiskContext
from src.execution.trading_state import TradingControl

Patch = tuple[Any, str, Any]


def _caps_changed(*names: str, room: Callable[[RiskContext, RiskLimits], int]) -> list[Patch]:
    changed = [Cap(each.name, room) if each.name in names else each for each in risk.CONTROLS]
    return [(risk, "CONTROLS", tuple(changed))]


def _event_cap_without_orders() -> list[Patch]:
    def room(c: RiskContext, limits: RiskLimits) -> int:
        event = c.place.event_ticker
        used = c.exposure.cost(lambda line: line.place.event_ticker == event and line.count > 0)
        return int(limits.max_event * c.equity) - used

    return _caps_changed("max_event", room=room)


def _strategy_cap_of_one_market() -> list[Patch]:
    def room(c: RiskContext, limits: RiskLimits) -> int:
        used = c.exposure.cost(lambda line: line.ticker == c.signal.ticker)
        return int(limits.max_strategy * c.equity) - used

    return _caps_changed("max_strategy", room=room)


def _regional_cap_of_the_city() -> list[Patch]:
    return _caps_changed("max_region", "max_city", room=lambda c, limits: 10**18)


def _group_cap_is_never_called() -> list[Patch]:
    return [(risk, "CONTROLS", tuple(each for each in risk.CONTROLS if each.name != "correlated_group"))]


def _orders_offset_losses() -> list[Patch]:
    def loss_if(self: Line, winner: str) -> int:
        wins = (self.ticker == winner) == self.is_yes
        return self.cost - ((self.count or self.ordered) * DOLLAR_PRICE if wins else 0)

    return [(Line, "loss_if", loss_if)]


def _levels_forgotten_on_restart(*keys: str) -> list[Patch]:
    original = EquityHistory.restore

    def restore(self: EquityHistory, values: Any) -> None:
        original(self, {key: value for key, value in values.items() if key not in keys})

    return [(EquityHistory, "restore", restore)]


def _switch_forgotten_on_restart() -> list[Patch]:
    original = TradingControl.restore

    def restore(self: TradingControl, values: Any, trades: Any) -> None:
        original(self, values, trades)
        self.strategies_off.clear()

    return [(TradingControl, "restore", restore)]


def _drawdown_forgotten() -> list[Patch]:
    return _levels_forgotten_on_restart("equity_peak")


def _loss_24h_forgotten() -> list[Patch]:
    return _levels_forgotten_on_restart("equity_by_hour")


LIMIT_MUTANTS: dict[str, Callable[[], list[Patch]]] = {
    "the event cap ignores orders in flight": _event_cap_without_orders,
    "the strategy cap looks at one market": _strategy_cap_of_one_market,
    "the city caps let everything through": _regional_cap_of_the_city,
    "the group cap is never called": _group_cap_is_never_called,
    "orders on their way offset losses": _orders_offset_losses,
    "the drawdown is forgotten on restart": _drawdown_forgotten,
    "the 24-hour loss is forgotten on restart": _loss_24h_forgotten,
    "a strategy switched off is on after a restart": _switch_forgotten_on_restart,
}
