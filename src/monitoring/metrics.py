"""Prometheus metrics. Most are read off the audit records; the rest is reported by the shell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from src.core.actions import (
    AccountMarked,
    AuditRecord,
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
    TradingState,
)
from src.core.sides import from_book
from src.core.units import SECOND, Cash, Nanos, dollars

_LATENCY_BUCKETS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
_PNL_BUCKETS = (
    -500.0, -200.0, -100.0, -50.0, -20.0, -10.0, -5.0, -1.0, 0.0,
    1.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0,
)  # fmt: skip
_TERMINAL = {OrderStatus.EXECUTED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED}


class Metrics:
    """All metrics of one process, in a registry of their own. Amounts are dollars, times are seconds."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._last_status: dict[str, OrderStatus] = {}
        self._without_exit: set[str] = set()
        self._make_order_metrics()
        self._make_account_metrics()
        self._make_exit_metrics()
        self._make_shell_metrics()

    def _make_order_metrics(self) -> None:
        registry = self.registry
        self._signals = Counter(
            "kalshi_signals", "Signals by verdict", ["strategy", "verdict"], registry=registry
        )
        self._refusals = Counter(
            "kalshi_refusals", "Signals refused, by risk gate", ["gate"], registry=registry
        )
        self._orders = Counter(
            "kalshi_orders", "Orders by the status they entered", ["status"], registry=registry
        )
        self._trades = Counter(
            "kalshi_trades", "Fills by the outcome bought", ["strategy", "side"], registry=registry
        )
        self._trade_pnl = Histogram(
            "kalshi_trade_pnl_dollars",
            "Profit of each closing fill and each settlement, after fees",
            ["strategy"],
            buckets=_PNL_BUCKETS,
            registry=registry,
        )
        # A histogram with negative buckets has no sum in Prometheus, so the sum is a gauge of its own.
        self._realized = Gauge(
            "kalshi_realized_pnl_dollars", "Profit booked since the start", ["strategy"], registry=registry
        )
        self._latency = Histogram(
            "kalshi_signal_latency_seconds",
            "Time spent by stage",
            ["stage"],
            buckets=_LATENCY_BUCKETS,
            registry=registry,
        )

    def _make_account_metrics(self) -> None:
        registry = self.registry
        self._open_positions = Gauge("kalshi_open_positions", "Markets held", registry=registry)
        self._cash = Gauge("kalshi_cash_dollars", "Cash at the exchange", registry=registry)
        self._value = Gauge("kalshi_portfolio_value_dollars", "Cash and liquidation value", registry=registry)
        self._at_risk = Gauge(
            "kalshi_at_risk_dollars", "Loss if everything open and ordered loses", registry=registry
        )
        self._day_pnl = Gauge(
            "kalshi_day_pnl_dollars", "Profit of the current New York day", registry=registry
        )
        self._mismatches = Counter(
            "kalshi_reconcile_mismatches", "Differences from the exchange's records", registry=registry
        )
        self._reconciled = Gauge(
            "kalshi_last_reconcile_timestamp_seconds",
            "When the records were last compared",
            registry=registry,
        )
        self._state = Gauge(
            "kalshi_trading_state", "1 for the current trading state", ["state"], registry=registry
        )
        self._show_state(TradingState.STARTING)

    def _make_exit_metrics(self) -> None:
        registry = self.registry
        self._exits_judged = Counter(
            "kalshi_exits_judged",
            "Early exits whose market has settled since",
            ["strategy", "reason"],
            registry=registry,
        )
        self._exit_gain = Gauge(
            "kalshi_exit_gain_dollars",
            "What early exits made more than holding to settlement would have (below zero: they cost)",
            ["strategy", "reason"],
            registry=registry,
        )
        without_exit = Gauge(
            "kalshi_positions_without_exit", "Positions that could not be sold now", registry=registry
        )
        without_exit.set_function(lambda: len(self._without_exit))

    def _make_shell_metrics(self) -> None:
        registry = self.registry
        self._feed_up = Gauge("kalshi_feed_up", "1 while a source is connected", ["feed"], registry=registry)
        self._bad_messages = Counter(
            "kalshi_bad_messages",
            "Outside messages refused, by source and field",
            ["source", "field"],
            registry=registry,
        )
        self._inbox_depth = Gauge(
            "kalshi_inbox_depth", "Events waiting for the engine", ["lane"], registry=registry
        )
        self._book_checks = Gauge(
            "kalshi_book_checks", "Books compared with REST, by verdict", ["verdict"], registry=registry
        )
        self._build = Gauge(
            "kalshi_build_info", "Version and mode of this process", ["version", "mode"], registry=registry
        )

    def observe(self, record: AuditRecord) -> None:
        """Update from one audit record."""
        match record:
            case SignalRecorded():
                self._signals.labels(record.signal.strategy, record.verdict).inc()
                self.observe_latency("signal", record.ts - record.signal.cause_ts)
            case Refused():
                self._refusals.labels(record.result.gate).inc()
            case OrderChanged():
                self._observe_order(record)
            case FillApplied():
                outcome, _ = from_book(record.fill.side, record.fill.price)
                self._trades.labels(record.strategy, outcome.value).inc()
                if record.realized:
                    self._observe_pnl(record.strategy, record.realized)
            case SettlementApplied():
                self._observe_pnl(record.strategy, record.pnl)
            case ExitJudged():
                self._exits_judged.labels(record.strategy, record.reason).inc()
                self._exit_gain.labels(record.strategy, record.reason).inc(dollars(record.gain))
            case StateChanged():
                self._show_state(record.state)
            case AccountMarked():
                self._cash.set(dollars(record.cash))
                self._value.set(dollars(record.cash + record.liquidation))
                self._at_risk.set(dollars(record.at_risk))
                self._open_positions.set(record.open_positions)
                self._day_pnl.set(dollars(record.day_pnl))
            case Reconciled():
                self._mismatches.inc(len(record.mismatches))
                self._reconciled.set(record.ts / SECOND)
            case Noted(kind="feed_up" | "feed_down" as kind, data=data):
                self._feed_up.labels(str(data["feed"])).set(kind == "feed_up")
            case Noted(kind="exit_path_lost" | "exit_path_back" as kind, data=data):
                change = self._without_exit.add if kind == "exit_path_lost" else self._without_exit.discard
                change(str(data["ticker"]))
            case PositionChanged() | LedgerOpened() | ControlValue() | Noted():
                pass  # journal only: AccountMarked carries the sums

    def observe_latency(self, stage: str, duration: Nanos) -> None:
        """A stage of the way from news to order took ``duration`` nanoseconds."""
        self._latency.labels(stage).observe(duration / SECOND)

    def count_bad_message(self, source: str, field: str) -> None:
        """A message from outside broke its contract at ``field``."""
        self._bad_messages.labels(source, field).inc()

    def follow_inbox(self, depth: Callable[[], tuple[int, int]]) -> None:
        """Read (urgent, market) events waiting whenever the metrics are asked for."""
        self._inbox_depth.labels("urgent").set_function(lambda: depth()[0])
        self._inbox_depth.labels("market").set_function(lambda: depth()[1])

    def follow_book_checks(self, counts: Callable[[], Mapping[str, int]]) -> None:
        """Read the verdicts of comparing books with REST: "equal", "wrong", "failed"."""
        for verdict in ("equal", "wrong", "failed"):
            self._book_checks.labels(verdict).set_function(partial(_one_of, counts, verdict))

    def build(self, version: str, mode: str) -> None:
        """What is running."""
        self._build.labels(version, mode).set(1)

    def render(self) -> bytes:
        """Everything in the text form of ``content_type``."""
        return generate_latest(self.registry)

    def _observe_order(self, record: OrderChanged) -> None:
        former = self._last_status.get(record.client_order_id)
        if record.status in _TERMINAL:
            self._last_status.pop(record.client_order_id, None)
        else:
            self._last_status[record.client_order_id] = record.status
        if former is record.status:
            return
        self._orders.labels(record.status.value).inc()
        if former is OrderStatus.PENDING_NEW and not record.external:
            self.observe_latency("order", record.ts - record.intent.created_ts)

    def _observe_pnl(self, strategy: str, pnl: Cash) -> None:
        self._trade_pnl.labels(strategy).observe(dollars(pnl))
        self._realized.labels(strategy).inc(dollars(pnl))

    def _show_state(self, current: TradingState) -> None:
        for state in TradingState:
            self._state.labels(state.value).set(state is current)


def _one_of(counts: Callable[[], Mapping[str, int]], name: str) -> float:
    return counts()[name]
