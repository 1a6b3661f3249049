"""What a person may ask for now, and what they are told about it. Pure; the engine carries it out."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from src.core.actions import TradingState
from src.core.events import Command, CommandKind
from src.core.units import SECOND, Nanos
from src.execution.trading_state import TradingControl


def refusal(command: Command, control: TradingControl, strategies: Collection[str], kill_reason: str) -> str:
    """Why a command is not carried out, with the next step; empty when it is."""
    state = control.state
    standing = f"{state.value.upper()} by {control.who}: {control.why}"
    match command.kind:
        case CommandKind.CLEAR_HALT if state is not TradingState.HALTED:
            return f"there is no halt to clear; the state is {state.value.upper()}"
        case CommandKind.CLEAR_HALT if kill_reason:
            return f"the kill switch is still tripped ({kill_reason}); untrip it first"
        case CommandKind.PAUSE if state is TradingState.HALTED:
            return f"trading is stopped altogether already ({standing})"
        case CommandKind.RESUME if state is TradingState.HALTED:
            return f"a halt is not resumed but cleared, with clear-halt ({standing})"
        case CommandKind.RESUME if state is not TradingState.REDUCING and not control.reductions:
            return f"nothing is paused; the state is {state.value.upper()}"
        case CommandKind.STRATEGY_OFF | CommandKind.STRATEGY_ON if command.target not in strategies:
            known = ", ".join(sorted(strategies)) or "none"
            return f"there is no strategy {command.target!r} here; those that run: {known}"
    return ""


def answer(command: Command, control: TradingControl, open_positions: int) -> str:
    """What a command led to, once it has been carried out, and what stops entries all the same."""
    state = f"{control.state.value.upper()} by {control.who}: {control.why}"
    halted = control.state is TradingState.HALTED
    match command.kind:
        case CommandKind.CLEAR_HALT if control.reductions:
            return f"the halt is cleared; there are still no new positions until resume: {_causes(control)}"
        case CommandKind.CLEAR_HALT:
            return "the halt is cleared; trading resumes once the exchange's records were compared"
        case CommandKind.FLATTEN:
            lifted = "clear-halt and resume" if halted else "resume"
            return f"leaving {open_positions} positions; no new ones until {lifted} ({state})"
        case CommandKind.STRATEGY_OFF:
            return f"{command.target} gives no new orders until strategy-on; its exits go on"
        case CommandKind.STRATEGY_ON if control.state is not TradingState.ACTIVE:
            return f"{command.target} may trade again once trading is active ({state})"
        case CommandKind.STRATEGY_ON:
            return f"{command.target} may trade again"
        case _:
            return state


def _causes(control: TradingControl) -> str:
    """Every cause of REDUCING, with its end where it has one."""
    return "; ".join(
        f"{each.who}: {each.why}" + (f" (until {_utc(each.until)} at the latest)" if each.until else "")
        for each in control.reductions.values()
    )


def _utc(ts: Nanos) -> str:
    return f"{datetime.fromtimestamp(ts // SECOND, UTC):%Y-%m-%d %H:%M} UTC"
