"""The account held against the loss limits: once a minute, and when trading begins."""

from __future__ import annotations

from typing import Protocol

from src.core.actions import TradingState
from src.core.units import MINUTE, Cash, Nanos
from src.execution.engine_base import Action
from src.execution.ledger import Ledger
from src.execution.risk import GuardError
from src.execution.trading_state import TradingControl
from src.execution.valuation import Valuation

_INTERVAL: Nanos = MINUTE


class LossHost(Protocol):
    """What the loss watch needs from the engine it belongs to."""

    @property
    def now(self) -> Nanos:
        """Time of the event being handled."""

    def equity(self) -> Cash:
        """Cash plus liquidation value."""

    def guard_failed(self, error: GuardError) -> list[Action]:
        """A risk check raised: stop."""

    def cancel_all(self) -> list[Action]:
        """Cancel every order of ours that the venue holds."""


class LossWatch:
    """Marks the account and lets ``TradingControl`` judge the mark."""

    def __init__(self, host: LossHost, ledger: Ledger, control: TradingControl, valuation: Valuation) -> None:
        self._host = host
        self._ledger = ledger
        self._control = control
        self._valuation = valuation
        self._next: Nanos = 0

    def on_tick(self) -> list[Action]:
        """End what is over; mark the account when its minute has passed and it is known."""
        now = self._host.now
        out: list[Action] = [*self._control.on_time(now)]
        if now >= self._next and self._ledger.report_ts is not None:
            self._next = now + _INTERVAL
            out += self.mark()
        return out

    def mark(self) -> list[Action]:
        """Hold what the account is worth now against the limits; the mark is recorded."""
        control, now = self._control, self._host.now
        halted = control.state is TradingState.HALTED
        try:
            equity = self._host.equity()
            out: list[Action] = [*control.mark_equity(equity, now)]
        except Exception as error:  # whatever is wrong with the loss limits, they do not hold
            return [*self._host.guard_failed(GuardError("loss limits", error))]
        if control.state is TradingState.HALTED and not halted:
            out += self._host.cancel_all()
        out.append(self._valuation.mark(equity, control, now))
        return out
