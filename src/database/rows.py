"""From the core's records to table rows (``stored`` is the way back)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from src.core.actions import (
    AccountMarked,
    AuditRecord,
    CommandAnswered,
    ControlValue,
    ExitJudged,
    FillApplied,
    LedgerOpened,
    Noted,
    OrderChanged,
    OrderStatus,
    PositionChanged,
    Reconciled,
    Refused,
    SettlementApplied,
    SignalRecorded,
    StateChanged,
)
from src.core.events import DailyMaximum, ForecastUpdate
from src.core.signal import OrderIntent
from src.core.units import Cash, Count, Nanos
from src.database import statements
from src.database.codec import encode, kind_of
from src.database.models_log import CommandStatus
from src.database.statements import Statement

Row: TypeAlias = dict[str, Any]

TRADING_STATE = "trading_state"
OPENING_CASH = "opening_cash"
OPENING_TS = "opening_ts"
RESERVED_KEYS = frozenset(
    {
        statements.FENCE,
        statements.HEARTBEAT,
        statements.JOURNAL_BATCH,
        TRADING_STATE,
        OPENING_CASH,
        OPENING_TS,
    }
)


def order_row(
    intent: OrderIntent,
    status: OrderStatus,
    reserved: Cash,
    updated_ns: Nanos,
    *,
    order_id: str = "",
    filled: Count = 0,
    reason: str = "",
    external: bool = False,
) -> Row:
    """An order as a row; an unknown venue id is NULL, so that unique means unique."""
    return {
        "client_order_id": intent.client_order_id,
        "order_id": order_id or None,
        "signal_id": intent.signal_id,
        "attempt": intent.attempt,
        "strategy": intent.strategy,
        "ticker": intent.ticker,
        "event_ticker": intent.event_ticker,
        "side": intent.side.value,
        "price_e4": intent.price,
        "count_e2": intent.count,
        "filled_e2": filled,
        "time_in_force": intent.time_in_force.value,
        "post_only": intent.post_only,
        "reduce_only": intent.reduce_only,
        "purpose": intent.purpose.value,
        "status": status.value,
        "reason": reason,
        "reserved_e6": reserved,
        "expected_edge": intent.expected_edge,
        "probability": intent.probability,
        "trace_id": intent.trace_id,
        "book_seq": intent.book_seq,
        "book_ts_ns": intent.book_ts,
        "expiration_ns": intent.expiration_ts,
        "exchange_index": intent.exchange_index,
        "external": external,
        "fence": None,  # only ``put_intent`` writes it, from the fence it holds
        "created_ns": intent.created_ts,
        "updated_ns": updated_ns,
    }


def _fill_row(record: FillApplied) -> Row:
    fill = record.fill
    return {
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "client_order_id": fill.client_order_id,
        "ticker": fill.ticker,
        "side": fill.side.value,
        "price_e4": fill.price,
        "count_e2": fill.count,
        "fee_e6": fill.fee,
        "is_taker": fill.is_taker,
        "strategy": record.strategy,
        "trace_id": record.trace_id,
        "realized_e6": record.realized,
        "event_ns": fill.ts_event,
        "recv_ns": fill.ts_recv,
        "booked_ns": record.ts,
    }


def _position_row(record: PositionChanged) -> Row:
    return {
        "ticker": record.ticker,
        "event_ticker": record.event_ticker,
        "strategy": record.strategy,
        "count_e2": record.count,
        "cost_e6": record.cost,
        "realized_e6": record.realized,
        "fees_e6": record.fees,
        "opened_ns": record.opened_ts,
        "updated_ns": record.ts,
    }


def _settlement_row(record: SettlementApplied) -> Row:
    settlement = record.settlement
    return {
        "ticker": settlement.ticker,
        "settled_ns": settlement.settled_ts,
        "event_ticker": settlement.event_ticker,
        "value_e4": settlement.value,
        "revenue_e6": settlement.revenue,
        "yes_count_e2": settlement.yes_count,
        "no_count_e2": settlement.no_count,
        "strategy": record.strategy,
        "pnl_e6": record.pnl,
        "recv_ns": settlement.ts_recv,
        "booked_ns": record.ts,
    }


def _signal_row(record: SignalRecorded) -> Row:
    signal = record.signal
    return {
        "signal_id": signal.signal_id,
        "strategy": signal.strategy,
        "ticker": signal.ticker,
        "event_ticker": signal.event_ticker,
        "outcome": signal.outcome.value,
        "probability": signal.probability,
        "std_error": signal.std_error,
        "min_edge": signal.min_edge,
        "cause_id": signal.cause_id,
        "cause_ns": signal.cause_ts,
        "signalled_ns": signal.ts,
        "details": encode(signal.details),
        "verdict": record.verdict,
        "edge": record.edge,
        "updated_ns": record.ts,
    }


def _refusal_row(record: Refused) -> Row:
    return {
        "signal_id": record.signal_id,
        "strategy": record.strategy,
        "ticker": record.ticker,
        "gate": record.result.gate,
        "numbers": encode(record.result.numbers),
        "refused_ns": record.ts,
    }


def _mark_row(record: AccountMarked) -> Row:
    return {
        "ts_ns": record.ts,
        "cash_e6": record.cash,
        "liquidation_e6": record.liquidation,
        "at_risk_e6": record.at_risk,
        "open_positions": record.open_positions,
        "day": record.day,
        "day_pnl_e6": record.day_pnl,
    }


def control_row(
    key: str, value: str, updated_ns: Nanos, *, who: str = "", why: str = "", until_ns: Nanos | None = None
) -> Row:
    """A row of ``control_state``."""
    return {
        "key": key,
        "value": value,
        "who": who,
        "why": why,
        "until_ns": until_ns,
        "updated_ns": updated_ns,
    }


def forecast_row(forecast: ForecastUpdate) -> Row:
    """A row of ``forecasts``."""
    return {
        "series_ticker": forecast.series_ticker,
        "station": forecast.station,
        "target_date": forecast.target_date,
        "source": forecast.source,
        "issued_ns": forecast.issued_ts,
        "lead_days": forecast.lead_days,
        "tmax_f": forecast.tmax_f,
        "event_ns": forecast.ts_event,
        "first_seen_ns": forecast.ts_recv,
    }


def maximum_row(maximum: DailyMaximum) -> Row:
    """A row of ``daily_maxima``."""
    return {
        "series_ticker": maximum.series_ticker,
        "station": maximum.station,
        "date": maximum.date,
        "final": maximum.final,
        "tmax_f": maximum.tmax_f,
        "event_ns": maximum.ts_event,
        "first_seen_ns": maximum.ts_recv,
    }


def journal_row(record: AuditRecord) -> Row:
    """The whole record as a row of ``journal``."""
    return {
        "ts_ns": record.ts,
        "kind": kind_of(record),
        "trace_id": _trace_id(record),
        "payload": encode(record),
    }


def _trace_id(record: AuditRecord) -> str:
    match record:
        case OrderChanged():
            return record.intent.trace_id
        case FillApplied() | Noted():
            return record.trace_id
        case SignalRecorded():
            return record.signal.cause_id
        case Refused() | ExitJudged():
            return record.signal_id
        case _:
            return ""


def table_writes(record: AuditRecord) -> Iterator[tuple[Statement, Row]]:
    """What a record changes in the tables, beside its line in the journal."""
    match record:
        case OrderChanged():
            # Only ``put_intent`` creates the row of an order of ours, so that a second one is noticed even
            # when the journal is written first.
            if record.external or record.status is not OrderStatus.PENDING_NEW:
                yield statements.ORDER, _changed_order_row(record)
        case FillApplied():
            yield statements.FILL, _fill_row(record)
        case PositionChanged():
            yield statements.POSITION, _position_row(record)
        case SettlementApplied():
            yield statements.SETTLEMENT, _settlement_row(record)
        case SignalRecorded():
            yield statements.SIGNAL, _signal_row(record)
        case Refused():
            yield statements.REFUSAL, _refusal_row(record)
        case AccountMarked():
            yield statements.ACCOUNT_MARK, _mark_row(record)
        case StateChanged(state, who, why, until, ts):
            row = control_row(TRADING_STATE, state.value, ts, who=who, why=why, until_ns=until)
            yield statements.CONTROL, row
        case LedgerOpened(cash, ts):
            yield statements.CONTROL_ONCE, control_row(OPENING_CASH, str(cash), ts)
            yield statements.CONTROL_ONCE, control_row(OPENING_TS, str(ts), ts)
        case ControlValue(key, value, ts):
            if key in RESERVED_KEYS:
                raise ValueError(f"control value {key!r}: this key is the store's own")
            yield statements.CONTROL, control_row(key, value, ts)
        case CommandAnswered(command_id, done, answer):
            status = CommandStatus.DONE if done else CommandStatus.REFUSED
            yield statements.ANSWER, {"id": command_id, "status": status.value, "answer": answer}
        case Reconciled() | Noted() | ExitJudged():
            return


def _changed_order_row(record: OrderChanged) -> Row:
    return order_row(
        record.intent,
        record.status,
        record.reserved,
        record.ts,
        order_id=record.order_id,
        filled=record.filled,
        reason=record.reason,
        external=record.external,
    )
