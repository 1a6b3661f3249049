"""The account desk: answers, fills and the venue's records, and when the records are asked for again."""

from __future__ import annotations

from typing import Protocol

from src.core.actions import Alert, RequestReport, Severity, TradingState
from src.core.events import (
    AccountReport,
    AmendAnswered,
    CancelAnswered,
    Fill,
    OrderAccepted,
    OrderRejected,
    OrderUnknown,
    OrderUpdate,
    ReportFailed,
)
from src.core.signal import Purpose
from src.core.units import Nanos
from src.execution.engine_base import Action, Routes
from src.execution.entry_desk import EntryDesk
from src.execution.exit_desk import ExitDesk
from src.execution.ledger import Ledger
from src.execution.limits import ReconcilePolicy
from src.execution.lockout import Lockout
from src.execution.loss_watch import LossWatch
from src.execution.trading_state import TradingControl


class AccountHost(Protocol):
    """What the account desk needs from the engine it belongs to."""

    stopping: bool

    @property
    def now(self) -> Nanos:
        """Time of the event being handled."""

    def halt(self, who: str, why: str) -> list[Action]:
        """Halt, and cancel what rests."""

    def locked_out(self, reason: str) -> list[Action]:
        """The exchange refuses us until a person acts."""

    def cancel_all(self) -> list[Action]:
        """Cancel every order of ours that the venue holds."""


class AccountDesk:
    """Keeps the ledger by what the venue says of the account, one report of its records at a time."""

    def __init__(
        self,
        host: AccountHost,
        ledger: Ledger,
        control: TradingControl,
        policy: ReconcilePolicy,
        lockout: Lockout,
        losses: LossWatch,
        entries: EntryDesk,
        exits: ExitDesk,
    ) -> None:
        self._host = host
        self._ledger = ledger
        self._control = control
        self._policy = policy
        self._lockout = lockout
        self._losses = losses
        self._entries = entries
        self._exits = exits
        self._report_pending = False
        self._next_report: Nanos = 0

    def routes(self) -> Routes:
        """Its events, and what handles each."""
        return {
            OrderAccepted: self._accepted,
            OrderRejected: self._rejected,
            OrderUnknown: lambda event: self._booked([*self._ledger.unknown(event)]),
            OrderUpdate: self._updated,
            CancelAnswered: lambda event: self._booked([*self._ledger.cancel_answered(event)]),
            AmendAnswered: lambda event: self._booked([*self._ledger.amend_answered(event)]),
            Fill: lambda event: self._booked([*self._ledger.filled(event)]),
            AccountReport: self._reported,
            ReportFailed: self._report_failed,
        }

    # --- orders and fills ----------------------------------------------------------------------

    def _accepted(self, event: OrderAccepted) -> list[Action]:
        out: list[Action] = [*self._ledger.accepted(event)]
        if self._host.stopping or self._control.state is TradingState.HALTED:
            out += self._host.cancel_all()
        return self._booked(out)

    def _rejected(self, event: OrderRejected) -> list[Action]:
        out: list[Action] = [*self._ledger.rejected(event)]
        out += self._entry_ended(event.client_order_id, "")
        if event.fatal:
            self._lockout.refuse_orders(self._host.now)
            out += self._host.locked_out(event.message)
        return self._booked(out)

    def _updated(self, event: OrderUpdate) -> list[Action]:
        out: list[Action] = [*self._ledger.updated(event)]
        out += self._entry_ended(event.client_order_id, event.order_id)
        return self._booked(out)

    def _booked(self, out: list[Action]) -> list[Action]:
        """``out``, and what follows where positions have closed or are smaller than what is offered."""
        for ticker, pnl in self._ledger.closed:
            out += self._control.on_closed(pnl, self._host.now)
            out += self._exits.position_closed(ticker)
        self._ledger.closed.clear()
        out += self._exits.fit()
        return out

    def _entry_ended(self, client_order_id: str, order_id: str) -> list[Action]:
        order = self._ledger.orders.get(client_order_id, order_id)
        if order is None or order.external or order.is_live or order.intent.purpose is Purpose.EXIT:
            return []
        return [*self._entries.patience.ended(order, self._host.now)]

    # --- the venue's records -------------------------------------------------------------------

    def on_tick(self) -> list[Action]:
        """Ask for the records when it is time, or when an order has waited too long for its outcome."""
        now = self._host.now
        if now >= self._next_report or self._ledger.overdue(now):
            return [self._ledger.request("periodic", now)]
        return []

    def one_report_at_a_time(self, actions: list[Action]) -> list[Action]:
        """Drop requests while an answer is under way: what it leaves open is asked again on a tick.

        None leaves while the exchange refuses us: it would be refused again.
        """
        out: list[Action] = []
        for action in actions:
            if isinstance(action, RequestReport):
                if self._report_pending or self._lockout.stands:
                    continue
                self._report_pending = True
            out.append(action)
        return out

    def _reported(self, report: AccountReport) -> list[Action]:
        ledger, control, now = self._ledger, self._control, self._host.now
        self._report_pending = False
        before = ledger.external_cash
        records, mismatches, open_questions = ledger.apply_report(report)
        out: list[Action] = [*records]
        if ledger.external_cash != before:
            out += control.move_cash(ledger.external_cash - before, now)
        wait = self._policy.retry_after if open_questions else self._policy.interval
        self._next_report = now + wait
        if mismatches:
            out += self._host.halt("reconcile", "; ".join(mismatches))
        elif control.state is TradingState.RECONCILING and not open_questions:
            out += control.set_state(TradingState.ACTIVE, "system", "reconciled", now)
            out += self._losses.mark()
        return self._booked(out)

    def _report_failed(self, event: ReportFailed) -> list[Action]:
        now = self._host.now
        self._report_pending = False
        self._next_report = now + self._policy.retry_after
        if event.fatal:
            return self._host.locked_out(event.reason)
        text = f"the exchange's records cannot be read: {event.reason}"
        return self._booked([Alert(Severity.WARNING, "report_failed", text, now)])
