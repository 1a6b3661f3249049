"""What differs from the venue's records is a doubt, until a report of another time says the same."""

from __future__ import annotations

from collections.abc import Iterable

from src.core.events import AccountReport, Fill
from src.core.units import Cash, Nanos
from src.execution import reconcile
from src.execution.limits import ReconcilePolicy
from src.execution.order_state import Order
from src.execution.portfolio import Portfolio


class Doubts:
    """Two reports within the venue's read lag (the policy's ``grace``) are one look, not two."""

    def __init__(self, policy: ReconcilePolicy) -> None:
        self._policy = policy
        self._fill_ts: dict[str, Nanos] = {}
        # What differed, and the start of the report that first said so.
        self._positions: dict[str, Nanos] = {}
        self._cash: tuple[Cash, Nanos] | None = None

    def filled(self, fill: Fill) -> None:
        """A fill was booked just now: records read before it do not show it."""
        self._fill_ts[fill.ticker] = fill.ts_recv

    def positions(
        self, report: AccountReport, portfolio: Portfolio, live: Iterable[Order]
    ) -> tuple[list[str], bool]:
        """Positions that differ in two reports, as lines for a person; whether nothing differs or moves."""
        # An order that rests for hours must not blind the comparison: a fill of it is seen in two looks.
        moving = {order.intent.ticker for order in live if not order.is_settled_at_rest}
        # Reports begin one after the other: what is old for this one need not be looked at for the next.
        now, grace = report.started_ts, self._policy.grace
        self._fill_ts = {ticker: ts for ticker, ts in self._fill_ts.items() if ts > now - grace}
        moving |= self._fill_ts.keys()
        lines = reconcile.compare_positions(report, portfolio, frozenset(moving))
        self._positions = {line: self._positions.get(line, now) for line in lines}
        confirmed = [line for line, first in self._positions.items() if now - first > grace]
        return confirmed, not (moving or lines)

    def cash(self, report: AccountReport, cash: Cash, *, is_quiet: bool) -> Cash:
        """Venue cash minus ours when two reports agree on it and nothing else differs or moves, else zero."""
        difference = reconcile.compare_cash(report, cash) if is_quiet else 0
        known, now = self._cash, report.started_ts
        first = known[1] if known is not None and known[0] == difference else now
        confirmed = difference if now - first > self._policy.grace else 0
        self._cash = (difference, first) if difference and not confirmed else None
        return confirmed
