"""Our account: orders, positions and cash, kept from events and held against the venue's records."""

from __future__ import annotations

from typing import TypeAlias

from src.core.actions import (
    Alert,
    AuditRecord,
    ControlValue,
    FillApplied,
    LedgerOpened,
    Noted,
    OrderStatus,
    Reconciled,
    RequestReport,
    SettlementApplied,
    Severity,
    StoredState,
)
from src.core.events import (
    AccountReport,
    AmendAnswered,
    CancelAnswered,
    Fill,
    OrderAccepted,
    OrderRejected,
    OrderUnknown,
    OrderUpdate,
    Settlement,
)
from src.core.units import CENT_PRICE, SECOND, Cash, Count, Nanos, format_cash, format_count
from src.execution import fee_check, reconcile
from src.execution.counterfactual import Counterfactuals
from src.execution.limits import ReconcilePolicy
from src.execution.market_state import MarketState
from src.execution.order_state import Order
from src.execution.orders import OrderRegister
from src.execution.portfolio import Portfolio
from src.execution.risk import Approved
from src.execution.shards import ShardCash

Output: TypeAlias = list[AuditRecord | Alert | RequestReport]
CENT_CASH: Cash = CENT_PRICE * 100
_READ_UNTIL = "records_read_until"


class Ledger:
    """Applies account events once each, and says what changed as audit records."""

    def __init__(self, markets: MarketState, policy: ReconcilePolicy) -> None:
        self._markets = markets
        self._policy = policy
        self.orders = OrderRegister()
        self.portfolio = Portfolio()
        self.shards = ShardCash()
        self.counterfactuals = Counterfactuals()
        self.opening_ts: Nanos | None = None
        self.report_ts: Nanos | None = None
        self._first_look: AccountReport | None = None
        self._read_until: Nanos | None = None
        self.closed: list[tuple[str, Cash]] = []
        self._last_fill_ts: Nanos = 0
        self._fill_ts: dict[str, Nanos] = {}
        # What differed, and the start of the report that first said so.
        self._position_doubts: dict[str, Nanos] = {}
        self._cash_doubt: tuple[Cash, Nanos] | None = None
        self.external_cash: Cash = 0
        self._opened_with: set[tuple[str, str]] = set()
        # Contracts booked for orders that are not known (yet), by the venue's order id.
        self._ownerless: dict[str, Count] = {}

    # --- start ---------------------------------------------------------------------------------

    def restore(self, stored: StoredState, now: Nanos) -> None:
        """Rebuild orders, positions and cash from the store."""
        if stored.opening_cash is not None:
            self.portfolio.open_ledger(stored.opening_cash)
            self.opening_ts = stored.opening_ts
        for key, value in sorted(stored.values.items()):
            if key.startswith("opening_position:"):
                event, count, cost = value.split("|")
                self.portfolio.adopt_position(
                    key.removeprefix("opening_position:"), event, int(count), int(cost), self.opening_ts or 0
                )
        client_of = {row.order_id: row.intent.client_order_id for row in stored.orders if row.order_id}
        filled: dict[str, int] = {}
        for fill in stored.fills:
            # Listed fills carry the venue's order id only.
            client_id = client_of.get(fill.order_id, fill.client_order_id)
            filled[client_id] = filled.get(client_id, 0) + fill.count
        for row in stored.orders:
            fees = self._markets.fees(row.intent.ticker)
            self.orders.restore(row, filled.get(row.intent.client_order_id, 0), fees, now)
        read = stored.values.get(_READ_UNTIL)
        self._read_until = int(read) if read is not None else self.opening_ts
        timeline: list[tuple[Nanos, int, Fill | Settlement]] = [
            (fill.ts_event, 0, fill) for fill in stored.fills
        ]
        timeline += [(paid.settled_ts, 1, paid) for paid in stored.settlements]
        for _, _, item in sorted(timeline, key=lambda entry: entry[:2]):
            if isinstance(item, Fill):
                order = self.orders.get(item.client_order_id, item.order_id)
                strategy = order.intent.strategy if order else "external"
                if order is None:
                    self._ownerless[item.order_id] = self._ownerless.get(item.order_id, 0) + item.count
                self.portfolio.apply_fill(item, self._markets.event_of(item.ticker), strategy)
            else:
                self.portfolio.settle(item)
        self.counterfactuals.restore(stored)
        self.external_cash = int(stored.values.get("external_cash", "0"))
        self.portfolio.adjust_cash(self.external_cash)

    # --- single events -------------------------------------------------------------------------

    def open_order(self, approved: Approved, now: Nanos) -> Approved:
        """Record an approved order as PENDING_NEW before it leaves; returns it, as the action to carry out.

        The executor commits the row, then sends.
        """
        order = self.orders.open_new(approved, self._markets.fees(approved.intent.ticker), now)
        if order.status is not OrderStatus.PENDING_NEW:
            raise AssertionError("a new order starts as PENDING_NEW")
        return approved

    def accepted(self, event: OrderAccepted) -> Output:
        """The venue holds our order."""
        order = self._own(event.client_order_id)
        self.orders.accept(order, event.order_id, event.filled, event.remaining, event.ts_recv)
        return [order.changed(event.ts_recv)]

    def rejected(self, event: OrderRejected) -> Output:
        """The venue definitely refused our order."""
        order = self._own(event.client_order_id)
        if order.status is OrderStatus.PENDING_NEW:
            self.orders.move(order, OrderStatus.REJECTED, event.ts_recv, f"{event.code}: {event.message}")
        return [order.changed(event.ts_recv)]

    def unknown(self, event: OrderUnknown) -> Output:
        """No usable answer: keep the reserve, ask the venue's records."""
        order = self._own(event.client_order_id)
        if order.status is not OrderStatus.PENDING_NEW:
            return [order.changed(event.ts_recv)]  # private news already resolved it
        self.orders.move(order, OrderStatus.UNKNOWN, event.ts_recv, event.reason)
        text = f"{order.intent.ticker}: outcome of an order is unknown ({event.reason}); asking the exchange"
        return [
            order.changed(event.ts_recv),
            Alert(Severity.WARNING, "order_unknown", text, event.ts_recv),
            self.request("unknown order", event.ts_recv),
        ]

    def updated(self, event: OrderUpdate) -> Output:
        """The venue's view of an order, ours or not."""
        order = self.orders.get(event.client_order_id, event.order_id)
        if order is None:
            return self._adopt(event)
        return [order.changed(event.ts_recv)] if self.orders.apply_update(order, event) else []

    def cancel_answered(self, event: CancelAnswered) -> Output:
        """A 404 on a cancel proves nothing: only the records tell."""
        order = self._own(event.client_order_id)
        if order.status is not OrderStatus.PENDING_CANCEL:
            return []
        if event.outcome == "canceled":
            # The reason is why we cancelled; it was noted when the call left.
            self.orders.canceled(order, event.reduced_by, event.ts_recv)
            out: Output = [order.changed(event.ts_recv)]
            return (
                [*out, self.request("fills of a canceled order", event.ts_recv)] if order.unaccounted else out
            )
        self.orders.move(order, OrderStatus.UNKNOWN, event.ts_recv, f"cancel {event.outcome}: {event.detail}")
        return [order.changed(event.ts_recv), self.request(f"cancel {event.outcome}", event.ts_recv)]

    def amend_answered(self, event: AmendAnswered) -> Output:
        """A failed amend may have happened all the same: only the records tell."""
        order = self._own(event.client_order_id)
        if event.outcome == "amended":
            self.orders.amended(order, event)
            return [order.changed(event.ts_recv)]
        order.amend_sent, order.amend_failed = None, True
        note = Noted("amend_failed", {"order_id": order.order_id, "detail": event.detail}, event.ts_recv)
        return [note, self.request("amend failed", event.ts_recv)]

    def filled(self, fill: Fill) -> Output:
        """Book a fill, whenever and however often it comes."""
        if self.portfolio.has_fill(fill.trade_id, fill.order_id):
            return []
        order = self.orders.get(fill.client_order_id, fill.order_id)
        if self.opening_ts is None or fill.ts_event < self.opening_ts:
            return self._before_opening(order, fill)
        if order is None and self._may_be_ours(fill):
            return [self.request("fill before acknowledgement", fill.ts_recv)]
        strategy = order.intent.strategy if order else "external"
        if order is not None:
            self.orders.apply_fill(order, fill)
            self.counterfactuals.sold(order.intent, fill)
        else:
            self._ownerless[fill.order_id] = self._ownerless.get(fill.order_id, 0) + fill.count
        before = self.portfolio.cash
        position, realized = self.portfolio.apply_fill(fill, self._markets.event_of(fill.ticker), strategy)
        self.shards.moved(self._markets.shard_of(fill.ticker), self.portfolio.cash - before)
        self._fill_ts[fill.ticker] = self._last_fill_ts = fill.ts_recv
        if position.closed_pnl is not None:
            self.closed.append((fill.ticker, position.closed_pnl))
        trace = order.intent.trace_id if order else f"external:{fill.order_id}"
        out: Output = [FillApplied(fill, strategy, trace, realized, fill.ts_recv)]
        out.append(position.changed(fill.ts_recv))
        if fill.ticker in self._markets.markets:
            out += fee_check.complaint(fill, self._markets.fees(fill.ticker))
        if order is not None:
            out.append(order.changed(fill.ts_recv))
        if order is None or order.external:
            text = (
                f"{fill.ticker}: a fill of {format_count(fill.count)} contracts that is not ours was booked"
            )
            out.append(Alert(Severity.WARNING, "external_fill", text, fill.ts_recv))
        return out

    def _before_opening(self, order: Order | None, fill: Fill) -> Output:
        """Part of the position and cash that the ledger was opened with; only its order may miss it.

        A crash can lose the first opening but not the orders that were sent after it.
        """
        key = (fill.trade_id, fill.order_id)
        if order is None or self.opening_ts is None or key in self._opened_with:
            return []
        self._opened_with.add(key)
        self.orders.apply_fill(order, fill)
        return [order.changed(fill.ts_recv)]

    # --- the venue's records -------------------------------------------------------------------

    def request(self, reason: str, now: Nanos) -> RequestReport:
        """Ask for the venue's records from before every open question."""
        return RequestReport(reason, reconcile.since(now, self._read_until, self.orders, self._policy))

    def apply_report(self, report: AccountReport) -> tuple[Output, list[str], bool]:
        """Hold the ledger against a whole report.

        Returns (records, mismatches seen twice, whether questions remain open).
        """
        if self.opening_ts is None and (why := self._opening_waits(report)):
            return [Noted("opening_waits", {"reason": why}, report.ts_recv)], [], True
        out: Output = self._open_ledger(report) if self.opening_ts is None else []
        adopted = [update.order_id for update in reconcile.find_foreign(report, self.orders)]
        for update in report.orders:
            out += self.updated(update)
        for fill in report.fills:
            out += self.filled(fill)
        for settlement in report.settlements:
            out += self._settled(settlement)
        absences = reconcile.find_absences(self.orders.live(), report, self._policy)
        for order in absences.never_arrived:
            self.orders.move(order, OrderStatus.REJECTED, report.ts_recv, "never arrived at the exchange")
            out.append(order.changed(report.ts_recv))
        confirmed = [
            f"order {order.order_id or order.intent.client_order_id} is lost" for order in absences.lost
        ]
        confirmed += self._compare(report, out)
        self.report_ts = self._read_until = report.started_ts
        out.append(Reconciled(tuple(confirmed), tuple(adopted), report.ts_recv))
        # Last, so that it is stored only with everything the report brought.
        out.append(ControlValue(_READ_UNTIL, str(report.started_ts), report.ts_recv))
        open_questions = absences.waiting or any(
            order.status in {OrderStatus.UNKNOWN, OrderStatus.PENDING_NEW} for order in self.orders.live()
        )
        return [record for record in out if not isinstance(record, RequestReport)], confirmed, open_questions

    def _compare(self, report: AccountReport, out: Output) -> list[str]:
        # An order that rests for hours must not blind the comparison: a fill of it is seen in two looks.
        moving = {order.intent.ticker for order in self.orders.live() if not order.is_settled_at_rest}
        # Reports begin one after the other: what is old for this one need not be looked at for the next.
        since = report.started_ts - self._policy.grace
        self._fill_ts = {ticker: ts for ticker, ts in self._fill_ts.items() if ts > since}
        moving |= self._fill_ts.keys()
        lines = reconcile.compare_positions(report, self.portfolio, frozenset(moving))
        if not (moving or lines) or not self.shards.is_known:
            self.shards.report(report.shards)
        # Two reports within the venue's read lag are one look, not two.
        now, grace = report.started_ts, self._policy.grace
        self._position_doubts = {line: self._position_doubts.get(line, now) for line in lines}
        confirmed = [line for line, first in self._position_doubts.items() if now - first > grace]
        if moving or lines:
            self._cash_doubt = None
            return confirmed
        difference = reconcile.compare_cash(report, self.portfolio.cash)
        known = self._cash_doubt
        first = known[1] if known is not None and known[0] == difference else now
        if difference and now - first > grace:
            # Deposits, withdrawals and interest are the owner's business: book them, say so.
            self.portfolio.adjust_cash(difference)
            self.external_cash += difference
            line = reconcile.describe_cash(difference)
            out.append(ControlValue("external_cash", str(self.external_cash), report.ts_recv))
            out.append(
                Alert(Severity.WARNING, "external_cash", f"booked as external, {line}", report.ts_recv)
            )
            difference = 0
        self._cash_doubt = (difference, first) if difference else None
        return confirmed

    def _opening_waits(self, report: AccountReport) -> str:
        """Why the ledger cannot be opened by this report; empty when it can.

        Positions and cash are read one after the other, after the fills. What traded meanwhile would be in
        them and, when its fill is listed later, be booked again. So a second report has to say the same, one
        whose every read is later than the first's last.
        """
        first, self._first_look = self._first_look, report
        if reconcile.is_moving(report, self.orders.live(), self._policy):
            return "the account is trading"
        if report.at_once:
            return ""
        if first is None or not reconcile.is_one_account(first, report, self._policy):
            return "a second report has to say the same"
        if report.as_of < first.ts_recv + self._policy.retry_after:
            self._first_look = first
            return "the second report is of the time of the first"
        return ""

    def _open_ledger(self, report: AccountReport) -> Output:
        self.opening_ts = report.as_of
        self.portfolio.open_ledger(report.balance)
        out: Output = [LedgerOpened(report.balance, report.as_of)]
        for held in report.positions:
            if held.count:
                event = self._markets.event_of(held.ticker)
                position = self.portfolio.adopt_position(
                    held.ticker, event, held.count, held.exposure, report.ts_recv
                )
                value = f"{event}|{held.count}|{held.exposure}"
                out.append(ControlValue(f"opening_position:{held.ticker}", value, report.ts_recv))
                out.append(position.changed(report.ts_recv))
        return out

    def _settled(self, settlement: Settlement) -> Output:
        opened = self.opening_ts if self.opening_ts is not None else settlement.settled_ts
        held = self.portfolio.get(settlement.ticker)
        if held is None or settlement.settled_ts < opened or self.portfolio.has_settlement(settlement):
            return []
        size, strategy = held.count, held.strategy
        position, revenue, pnl = self.portfolio.settle(settlement)
        self.shards.moved(self._markets.shard_of(settlement.ticker), revenue)
        ts = settlement.ts_recv
        if position.closed_pnl is not None:
            self.closed.append((settlement.ticker, position.closed_pnl))
        out: Output = [SettlementApplied(settlement, strategy, pnl, ts), position.changed(ts)]
        if abs(revenue - settlement.revenue) >= CENT_CASH:
            text = (
                f"{settlement.ticker}: exchange paid {format_cash(settlement.revenue)}, "
                f"the ledger's position of {format_count(size)} comes to {format_cash(revenue)}"
            )
            out.append(Alert(Severity.CRITICAL, "settlement_mismatch", text, ts))
        return out

    def _adopt(self, update: OrderUpdate) -> Output:
        order = self.orders.adopt(
            update,
            self._ownerless.pop(update.order_id, 0),
            self._markets.event_of(update.ticker),
            self._markets.fees(update.ticker),
        )
        if not order.is_live:
            # An ended order from before the ledger: its fills, if any count, come by themselves.
            note = Noted("external_order_ended", {"order_id": update.order_id}, update.ts_recv)
            # Booked fills keep their order: after a restart they would otherwise belong to none.
            return [note, order.changed(update.ts_recv)] if order.filled else [note]
        text = f"{update.ticker}: order {update.order_id} at the exchange is not ours; adopted as external"
        return [
            order.changed(update.ts_recv),
            Alert(Severity.WARNING, "external_order", text, update.ts_recv),
        ]

    def _may_be_ours(self, fill: Fill) -> bool:
        return any(
            order.intent.ticker == fill.ticker and order.intent.side is fill.side and not order.order_id
            for order in self.orders.live()
        )

    def _own(self, client_order_id: str) -> Order:
        order = self.orders.get(client_order_id)
        if order is None:
            raise AssertionError(f"answer for an order that was never sent: {client_order_id}")
        return order

    def own_orders(self, ticker: str) -> list[Order]:
        """Orders of ours (not the owner's) in this market whose contracts are not all accounted for.

        One that has ended belongs to them until its fills are booked: before that nobody knows what is held.
        """
        return [order for order in self.orders.live() if order.intent.ticker == ticker and not order.external]

    def overdue(self, now: Nanos, patience: Nanos = 5 * SECOND) -> bool:
        """Whether some order has waited too long for its outcome or its fills."""
        return any(
            (order.status is OrderStatus.UNKNOWN or not order.is_live) and now - order.changed_ts >= patience
            for order in self.orders.live()
        )
