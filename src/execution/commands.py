"""What a person may ask for now, what it does, and what they are told about it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Protocol

from src.core.actions import CommandAnswered, TradingState
from src.core.events import Command, CommandKind
from src.core.units import SECOND, Nanos
from src.execution.engine_base import Action
from src.execution.exit_desk import ExitDesk
from src.execution.ledger import Ledger
from src.execution.lockout import Lockout
from src.execution.trading_state import TradingControl


class CommandHost(Protocol):
    """What the command desk needs from the engine it belongs to."""

    kill_reason: str

    @property
    def now(self) -> Nanos:
        """Time of the event being handled."""

    def halt(self, who: str, why: str) -> list[Action]:
        """Halt, and cancel what rests."""

    def cancel_all(self) -> list[Action]:
        """Cancel every order of ours that the venue holds."""


class CommandDesk:
    """Carries commands out, or says why not."""

    def __init__(
        self,
        host: CommandHost,
        strategies: Collection[str],
        ledger: Ledger,
        control: TradingControl,
        lockout: Lockout,
        exits: ExitDesk,
    ) -> None:
        self._host = host
        self._strategies = strategies
        self._ledger = ledger
        self._control = control
        self._lockout = lockout
        self._exits = exits

    def answered(self, command: Command) -> list[Action]:
        """Carry a command out, or say why not; the answer is stored together with what it changed."""
        refused = refusal(command, self._control, self._strategies, self._host.kill_reason)
        out: list[Action] = [] if refused else self._carry_out(command)
        if command.command_id:
            text = refused or answer(command, self._control, self._ledger.portfolio.open_count)
            out.append(CommandAnswered(command.command_id, not refused, text, self._host.now))
        return out

    def _carry_out(self, command: Command) -> list[Action]:
        control, who, why, now = self._control, command.who, command.why, self._host.now
        match command.kind:
            case CommandKind.HALT:
                return self._host.halt(who, why)
            case CommandKind.CLEAR_HALT:
                self._lockout.end()
                out = [*control.clear_halt(who, why, now), *self._exits.end_flatten()]
                return [*out, self._ledger.request("halt cleared", now)]
            case CommandKind.PAUSE:
                return [*control.set_state(TradingState.REDUCING, who, why, now)]
            case CommandKind.RESUME:
                known = self._ledger.report_ts is not None
                out = [*control.resume(who, why, now, reconciled=known)]
                return [*out, *self._exits.end_flatten()]
            case CommandKind.STRATEGY_OFF | CommandKind.STRATEGY_ON:
                on = command.kind is CommandKind.STRATEGY_ON
                return [*control.switch_strategy(command.target, who, why, now, on=on)]
            case CommandKind.FLATTEN:
                # What was left must not be bought again on the next signal.
                out = [*control.set_state(TradingState.REDUCING, who, f"flatten: {why}", now)]
                return [*out, *self._exits.flatten_all(), *self._host.cancel_all()]


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
