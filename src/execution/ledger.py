"""Our account: orders, positions and cash, kept from events and held against the venue's records."""

from __future__ import annotations

from typing import TypeAlias

from src.core.actions import (
    Alert,
    AuditRecord,
    ControlValue,
    FillApplied,
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
from src.core.units import CENT_PRICE, SECOND, Cash, Nanos, format_cash, format_count
from src.execution import fee_check, reconcile
from src.execution.counterfactual import Counterfactuals
from src.execution.doubts import Doubts
from src.execution.foreign import ForeignOrders, foreign_fill
from src.execution.ledger_restore import rebuild
from src.execution.limits import ReconcilePolicy
from src.execution.market_state import MarketState
from src.execution.opening import Opening
from src.execution.order_state import Order
from src.execution.orders import OrderRegister
from src.execution.portfolio import Portfolio
from src.execution.risk import Approved
from src.execution.shards import ShardCash

Output: TypeAlias = list[AuditRecord | Alert | RequestReport]
CENT_CASH: Cash = CENT_PRICE * 100
_READ_UNTIL = "records_read_until"
_EXTERNAL_CASH = "external_cash"


class Ledger:
    """Applies account events once each, and says what changed as audit records."""

    def __init__(self, markets: MarketState, policy: ReconcilePolicy) -> None:
        self._markets = markets
        self._policy = policy
        self.orders = OrderRegister()
        self.portfolio = Portfolio()
        self.opening = Opening(markets, self.portfolio, policy)
        self._doubts = Doubts(policy)
        self.shards = ShardCash()
        self.counterfactuals = Counterfactuals()
        self.report_ts: Nanos | None = None
        self._read_until: Nanos | None = None
        self.closed: list[tuple[str, Cash]] = []
        self.external_cash: Cash = 0
        self._opened_with: set[tuple[str, str]] = set()
        self._foreign = ForeignOrders(self.orders, markets)

    # --- start ---------------------------------------------------------------------------------

    def restore(self, stored: StoredState, now: Nanos) -> None:
        """Rebuild orders, positions and cash from the store."""
        self.opening.restore(stored)
        self._foreign.ownerless = rebuild(stored, self.orders, self.portfolio, self._markets, now)
        read = stored.values.get(_READ_UNTIL)
        self._read_until = int(read) if read is not None else self.opening.ts
        self.counterfactuals.restore(stored)
        self.external_cash = int(stored.values.get(_EXTERNAL_CASH, "0"))
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
            return [*self._foreign.adopt(event)]
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
        if self.opening.ts is None or fill.ts_event < self.opening.ts:
            return self._before_opening(order, fill)
        if order is None and self._may_be_ours(fill):
            return [self.request("fill before acknowledgement", fill.ts_recv)]
        strategy = order.intent.strategy if order else "external"
        if order is not None:
            self.orders.apply_fill(order, fill)
            self.counterfactuals.sold(order.intent, fill)
        else:
            self._foreign.filled(fill)
        before = self.portfolio.cash
        position, realized = self.portfolio.apply_fill(fill, self._markets.event_of(fill.ticker), strategy)
        self.shards.moved(self._markets.shard_of(fill.ticker), self.portfolio.cash - before)
        self._doubts.filled(fill)
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
            out.append(foreign_fill(fill))
        return out

    def _before_opening(self, order: Order | None, fill: Fill) -> Output:
        """Part of the position and cash that the ledger was opened with; only its order may miss it.

        A crash can lose the first opening but not the orders that were sent after it.
        """
        key = (fill.trade_id, fill.order_id)
        if order is None or self.opening.ts is None or key in self._opened_with:
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
        is_open = self.opening.ts is not None
        if not is_open and (waiting := self.opening.waits(report, self.orders.live())):
            return [*waiting], [], True
        out: Output = [] if is_open else [*self.opening.begin(report)]
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
        """Positions that differ in two reports; cash that does is booked as external."""
        lines, is_quiet = self._doubts.positions(report, self.portfolio, self.orders.live())
        if is_quiet or not self.shards.is_known:
            self.shards.report(report.shards)
        if difference := self._doubts.cash(report, self.portfolio.cash, is_quiet=is_quiet):
            # Deposits, withdrawals and interest are the owner's business: book them, say so.
            self.portfolio.adjust_cash(difference)
            self.external_cash += difference
            text = f"booked as external, {reconcile.describe_cash(difference)}"
            out.append(ControlValue(_EXTERNAL_CASH, str(self.external_cash), report.ts_recv))
            out.append(Alert(Severity.WARNING, "external_cash", text, report.ts_recv))
        return lines

    def _settled(self, settlement: Settlement) -> Output:
        opened = self.opening.ts if self.opening.ts is not None else settlement.settled_ts
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
