"""What the ledger begins with: cash and positions of a moment before which every trade is in them."""

from __future__ import annotations

from collections.abc import Iterable

from src.core.actions import Alert, AuditRecord, ControlValue, LedgerOpened, Noted, Severity, StoredState
from src.core.events import AccountReport
from src.core.units import MINUTE, Nanos
from src.execution import reconcile
from src.execution.limits import ReconcilePolicy
from src.execution.market_state import MarketState
from src.execution.order_state import Order
from src.execution.portfolio import Portfolio

_POSITION = "opening_position:"
_PATIENCE: Nanos = MINUTE


class Opening:
    """``ts`` is the moment the ledger was opened as of; None before that. Fills from then on are booked."""

    def __init__(self, markets: MarketState, portfolio: Portfolio, policy: ReconcilePolicy) -> None:
        self._markets = markets
        self._portfolio = portfolio
        self._policy = policy
        self.ts: Nanos | None = None
        self._first_look: AccountReport | None = None
        self._asked_ts: Nanos | None = None

    def restore(self, stored: StoredState) -> None:
        """What the ledger was opened with, from the store."""
        if stored.opening_cash is not None:
            self._portfolio.open_ledger(stored.opening_cash)
            self.ts = stored.opening_ts
        for key, value in sorted(stored.values.items()):
            if key.startswith(_POSITION):
                event, count, cost = value.split("|")
                ticker = key.removeprefix(_POSITION)
                self._portfolio.adopt_position(ticker, event, int(count), int(cost), self.ts or 0)

    def waits(self, report: AccountReport, live: Iterable[Order]) -> list[Noted | Alert]:
        """What is said while the ledger cannot be opened by this report; nothing when it can.

        A person is told when that takes longer than two reports do: nothing is traded until then.
        """
        why = self._obstacle(report, live)
        if not why:
            return []
        now = report.ts_recv
        if self._asked_ts is None:
            self._asked_ts = now
        note = Noted("opening_waits", {"reason": why}, now)
        if now - self._asked_ts < _PATIENCE:
            return [note]
        text = f"nothing is traded yet, the account's records cannot be begun with: {why}"
        return [note, Alert(Severity.WARNING, "opening_waits", text, now)]

    def _obstacle(self, report: AccountReport, live: Iterable[Order]) -> str:
        """Why the ledger cannot be opened by this report; empty when it can.

        Positions and cash are read one after the other, after the fills. What traded meanwhile would be in
        them and, when its fill is listed later, be booked again. So a second report has to say the same, one
        whose every read is later than the first's last: by the venue's own stamp or, should that stand still,
        by more than its records can lag.
        """
        first, self._first_look = self._first_look, report
        if reconcile.is_moving(report, live, self._policy):
            return "the account is trading"
        if report.at_once:
            return ""
        if first is None or not reconcile.is_one_account(first, report, self._policy):
            return "a second report has to say the same"
        is_later = report.as_of >= first.ts_recv + self._policy.retry_after
        if not is_later and report.started_ts < first.ts_recv + self._policy.grace:
            self._first_look = first
            return "the second report is of the time of the first"
        return ""

    def begin(self, report: AccountReport) -> list[AuditRecord]:
        """Open the ledger with a report's cash and positions."""
        self.ts = report.as_of
        self._portfolio.open_ledger(report.balance)
        out: list[AuditRecord] = [LedgerOpened(report.balance, report.as_of)]
        for held in report.positions:
            if held.count:
                event = self._markets.event_of(held.ticker)
                position = self._portfolio.adopt_position(
                    held.ticker, event, held.count, held.exposure, report.ts_recv
                )
                value = f"{event}|{held.count}|{held.exposure}"
                out.append(ControlValue(f"{_POSITION}{held.ticker}", value, report.ts_recv))
                out.append(position.changed(report.ts_recv))
        return out
