"""Control drills: each control refuses its violation, and one that does nothing is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from src.core.actions import GateResult
from src.execution import risk, sizing
from src.execution.drills import run_drills
from src.execution.drills_caps import CAP_DRILLS
from src.execution.drills_gates import GATE_DRILLS
from src.execution.drills_reactions import REACTIONS
from src.execution.engine import Engine
from src.execution.exit_desk import ExitDesk
from src.execution.exits import ExitMonitor
from src.execution.limits import CorrelatedGroup, RiskLimits
from src.execution.orders import OrderRegister
from src.execution.risk_context import Cap, Gate
from src.execution.trading_state import TradingControl
from src.runtime.assemble import risk_limits
from src.runtime.settings import Settings

LIMITS = risk_limits(Settings())
Patch = tuple[Any, str, Any]


def failed(limits: RiskLimits = LIMITS) -> list[str]:
    """The controls whose drill complains."""
    return [each.control for each in run_drills(limits) if each.problem]


def is_named(name: str) -> bool:
    """Whether the drill of a control complains; later drills are not run."""
    return any(each.control == name and each.problem for each in run_drills(LIMITS))


@pytest.mark.parametrize(
    "limits",
    [
        RiskLimits(),
        LIMITS,
        replace(
            LIMITS,
            max_position=1_000_000,
            max_event=0.001,
            max_city=1.0,
            max_region=1.0,
            neighbour_km=0.0,
            max_category=1.0,
            max_strategy=1.0,
            max_portfolio_heat=1.0,
            groups=(CorrelatedGroup("east", frozenset({"KXHIGHNY", "KXHIGHPHIL"}), 1.0),),
        ),
        replace(
            LIMITS,
            min_edge=0.5,
            max_open_positions=1,
            max_trades_per_hour=1,
            max_trades_per_day=1,
            cooldown_after_loss=0,
            consecutive_losses=1,
            max_slippage=0.0,
            stop_loss=1.0,
            min_time_to_pause=0,
            soft_loss=1.0,
            max_loss_24h=1.0,
            max_drawdown=1.0,
        ),
    ],
    ids=["defaults", "shipped configuration", "wide caps", "odd but legal"],
)
def test_every_control_of_a_legal_configuration_refuses_its_violation(limits: RiskLimits) -> None:
    """Whatever a user may configure, the drills find every control alive."""
    assert [each for each in run_drills(limits) if each.problem] == []


def _dead(control: Gate | Cap) -> Gate | Cap:
    if isinstance(control, Gate):
        return Gate(control.name, lambda c, limits: GateResult(control.name, True, {}))
    return Cap(control.name, lambda c, limits: 10**18)


@pytest.mark.parametrize("name", [control.name for control in risk.CONTROLS])
def test_a_gate_or_cap_that_lets_everything_pass_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each entry of the ordered list, turned into a no-op, fails its drill; a list that lacks it too."""
    dead = tuple(_dead(each) if each.name == name else each for each in risk.CONTROLS)
    monkeypatch.setattr(risk, "CONTROLS", dead)
    assert is_named(name)


def test_a_control_without_a_drill_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who adds a control adds its drill, or nothing starts."""
    new = Gate("brand_new", lambda c, limits: GateResult("brand_new", True, {}))
    monkeypatch.setattr(risk, "CONTROLS", (*risk.CONTROLS, new))
    assert failed() == ["brand_new"]


def test_no_drill_is_of_a_control_that_is_gone() -> None:
    """A drill of nothing would look like a control that is there."""
    assert {drill.control for drill in (*GATE_DRILLS, *CAP_DRILLS)} == {
        control.name for control in risk.CONTROLS
    }


def test_a_system_that_refuses_everything_passes_no_drill() -> None:
    """Without a violation the signal must be approved, or every refusal would prove nothing."""
    names = failed(replace(LIMITS, max_position=0))
    assert names[0] == "(none)"


def _noop(owner: Any, name: str, answer: Any = None) -> Callable[[], list[Patch]]:
    return lambda: [(owner, name, lambda *_, **__: [] if answer is None else answer)]


def _without_soft() -> list[Patch]:
    return [(TradingControl, "_soft_level", lambda self, who, why, ts: [])]


def _only_halts_by(*kept: str) -> Callable[[], list[Patch]]:
    """Every cause but these is ignored."""
    original = TradingControl.set_state

    def set_state(self: TradingControl, state: Any, who: str, *rest: Any) -> Any:
        return original(self, state, who, *rest) if who not in kept else []

    return lambda: [(TradingControl, "set_state", set_state)]


def _swallowed() -> list[Patch]:
    return [(Engine, "guard_failed", lambda self, error: [])]


def _exits_halted() -> list[Patch]:
    original = ExitDesk.exits
    return [(ExitDesk, "exits", lambda self: [] if self._control.state.value == "halted" else original(self))]


def _one_contract_anyway() -> list[Patch]:
    original = sizing._Plan.reason

    def reason(self: Any) -> Any:
        told = original(self)
        return "ok" if told == "below_one_contract" else told

    most = sizing._Plan.most_contracts
    return [
        (sizing._Plan, "reason", reason),
        (sizing._Plan, "most_contracts", lambda self: max(1, most(self))),
    ]


DEAD: dict[str, Callable[[], Sequence[Patch]]] = {
    "min_edge": lambda: [(sizing, "_is_worth", lambda probability, price, fees, min_edge: True)],
    "kelly": _one_contract_anyway,
    "reserves": lambda: [(OrderRegister, "live", lambda self: ())],
    "halt": _noop(Engine, "cancel_all"),
    "withdrawn_before_send": _noop(Engine, "withdrawn", ""),
    "exits_pass_a_halt": _exits_halted,
    "failing_check": _swallowed,
    "position_mismatch": _only_halts_by("reconcile"),
    "daily_loss_halt": _only_halts_by("daily_loss"),
    "soft_daily_loss": _without_soft,
    "loss_24h": _only_halts_by("loss_24h"),
    "drawdown": _only_halts_by("drawdown"),
    "soft_drawdown": lambda: [(TradingControl, "_beyond_soft_drawdown", property(lambda self: False))],
    "circuit_breaker": _noop(TradingControl, "_reduce"),
    "stop_loss": lambda: [(ExitMonitor, "_price_stop", lambda self, position, value, sold, now: False)],
    "position_timeout": _noop(ExitDesk, "exits"),
}


def test_every_other_control_has_its_dead_twin() -> None:
    """The table below is complete."""
    assert set(DEAD) == {reaction.control for reaction in REACTIONS}


@pytest.mark.parametrize("name", DEAD)
def test_a_reaction_that_does_nothing_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Halts, loss limits, exits, sizing and reserves, each switched off in the code."""
    for owner, attribute, patched in DEAD[name]():
        monkeypatch.setattr(owner, attribute, patched)
    assert is_named(name)
