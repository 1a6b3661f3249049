"""The audit stream as log lines: from the cause of an order to its fill, by one trace id."""

from __future__ import annotations

import structlog

from src.core.actions import (
    AuditRecord,
    ExitJudged,
    FillApplied,
    Noted,
    OrderChanged,
    OrderStatus,
    Reconciled,
    Refused,
    SettlementApplied,
    SignalRecorded,
    StateChanged,
)
from src.core.sides import from_book
from src.core.units import ONE_CONTRACT, dollars, format_price


class AuditLog:
    """A reader of the audit stream. Refusals and routine comparisons are debug lines, the rest is info."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("audit")

    def observe(self, record: AuditRecord) -> None:
        """Write the record's line, if it is one a person wants in a log."""
        match record:
            case SignalRecorded(verdict="approved", signal=signal):
                self._log.info(
                    "signal",
                    trace_id=signal.cause_id,
                    strategy=signal.strategy,
                    ticker=signal.ticker,
                    outcome=signal.outcome.value,
                    probability=round(signal.probability, 4),
                    edge=record.edge,
                )
            case Refused():
                self._log.debug(
                    "refused", ticker=record.ticker, gate=record.result.gate, **record.result.numbers
                )
            case OrderChanged():
                self._order(record)
            case FillApplied(fill=fill):
                outcome, price = from_book(fill.side, fill.price)
                self._log.info(
                    "fill",
                    trace_id=record.trace_id,
                    ticker=fill.ticker,
                    trade_id=fill.trade_id,
                    outcome=outcome.value,
                    price=format_price(price),
                    contracts=fill.count / ONE_CONTRACT,
                    fee_dollars=dollars(fill.fee),
                )
            case SettlementApplied(settlement=paid):
                self._log.info(
                    "settled", ticker=paid.ticker, value=format_price(paid.value), pnl=dollars(record.pnl)
                )
            case ExitJudged():
                self._log.info(
                    "exit_judged",
                    trace_id=record.signal_id,
                    ticker=record.ticker,
                    reason=record.reason,
                    contracts=record.count / ONE_CONTRACT,
                    sold_for_dollars=dollars(record.proceeds),
                    holding_paid_dollars=dollars(record.hold_value),
                )
            case StateChanged():
                self._log.warning("state", state=record.state.value, who=record.who, why=record.why)
            case Reconciled(mismatches=mismatches):
                level = self._log.error if mismatches else self._log.debug
                level("reconciled", mismatches=list(mismatches), adopted=list(record.adopted))
            case Noted():
                self._log.info("note", kind=record.kind, **record.data)

    def _order(self, record: OrderChanged) -> None:
        if record.status is OrderStatus.PENDING_NEW:
            return
        intent = record.intent
        self._log.info(
            "order",
            trace_id=intent.trace_id,
            client_order_id=record.client_order_id,
            order_id=record.order_id,
            ticker=intent.ticker,
            side=intent.side.value,
            price=format_price(intent.price),
            contracts=intent.count / ONE_CONTRACT,
            filled=record.filled / ONE_CONTRACT,
            status=record.status.value,
            reason=record.reason,
            external=record.external,
        )
