"""Metrics read off the audit records."""

from __future__ import annotations

from dataclasses import replace

import pytest

from src.core.actions import (
    AccountMarked,
    ControlValue,
    ExitJudged,
    FillApplied,
    GateResult,
    Noted,
    OrderChanged,
    OrderStatus,
    Reconciled,
    Refused,
    SettlementApplied,
    SignalRecorded,
    StateChanged,
    TradingState,
)
from src.core.events import Fill, Settlement
from src.core.sides import BookSide, Outcome
from src.core.signal import OrderIntent, Purpose, Signal, TimeInForce
from src.core.units import DOLLAR_CASH, MILLISECOND, SECOND
from src.monitoring.metrics import Metrics

TS = 1_800_000_000 * SECOND
INTENT = OrderIntent(
    client_order_id="c1",
    signal_id="s1",
    strategy="weather_model",
    ticker="T",
    event_ticker="E",
    side=BookSide.BID,
    price=4_000,
    count=100,
    time_in_force=TimeInForce.GOOD_TILL_CANCELED,
    purpose=Purpose.ENTRY,
    created_ts=TS,
    trace_id="t",
)
FILL = Fill(
    trade_id="f1", order_id="o1", client_order_id="c1", ticker="T", side=BookSide.BID, price=4_000, count=100,
    fee=17_500, is_taker=True, ts_event=TS, ts_recv=TS,
)  # fmt: skip


def changed(status: OrderStatus, *, ts: int = TS, external: bool = False) -> OrderChanged:
    return OrderChanged("c1", "o1", INTENT, status, 0, 0, "", external, ts)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_signals_and_refusals_are_counted_by_what_became_of_them() -> None:
    metrics = Metrics()
    signal = Signal(
        "s1", "weather_model", "T", "E", Outcome.YES, 0.6, 0.05, 0.05, "cause", TS - 3 * MILLISECOND, TS
    )
    metrics.observe(SignalRecorded(signal, "approved", 0.1, TS))
    metrics.observe(SignalRecorded(signal, "heat", 0.1, TS))
    metrics.observe(Refused("s1", "weather_model", "T", GateResult("heat", False, {}), TS))
    assert value(metrics, "kalshi_signals_total", strategy="weather_model", verdict="approved") == 1
    assert value(metrics, "kalshi_signals_total", strategy="weather_model", verdict="heat") == 1
    assert value(metrics, "kalshi_refusals_total", gate="heat") == 1
    assert value(metrics, "kalshi_signal_latency_seconds_bucket", stage="signal", le="0.005") == 2
    assert value(metrics, "kalshi_signal_latency_seconds_bucket", stage="signal", le="0.0025") == 0


def test_orders_are_counted_once_for_each_status_they_enter() -> None:
    metrics = Metrics()
    metrics.observe(changed(OrderStatus.PENDING_NEW))
    metrics.observe(changed(OrderStatus.RESTING, ts=TS + 40 * MILLISECOND))
    for _ in range(3):
        metrics.observe(changed(OrderStatus.PARTIALLY_FILLED, ts=TS + SECOND))
    metrics.observe(changed(OrderStatus.EXECUTED, ts=TS + SECOND))
    counted = {status: value(metrics, "kalshi_orders_total", status=status.value) for status in OrderStatus}
    assert {status.value for status, count in counted.items() if count} == {
        "pending_new", "resting", "partially_filled", "executed"
    }  # fmt: skip
    assert counted[OrderStatus.PARTIALLY_FILLED] == 1
    assert value(metrics, "kalshi_signal_latency_seconds_count", stage="order") == 1
    assert value(metrics, "kalshi_signal_latency_seconds_sum", stage="order") == 0.04


def test_adopted_orders_have_no_latency_of_ours() -> None:
    metrics = Metrics()
    metrics.observe(changed(OrderStatus.PENDING_NEW, external=True))
    metrics.observe(changed(OrderStatus.RESTING, external=True))
    assert value(metrics, "kalshi_signal_latency_seconds_count", stage="order") is None


def test_fills_are_counted_by_the_outcome_bought_and_profit_only_where_it_is_made() -> None:
    metrics = Metrics()
    metrics.observe(FillApplied(FILL, "weather_model", "t", 0, TS))
    metrics.observe(FillApplied(replace(FILL, side=BookSide.ASK), "weather_model", "t", -2 * DOLLAR_CASH, TS))
    settlement = Settlement("T", "E", 10_000, 100, 100, 0, TS, TS)
    metrics.observe(SettlementApplied(settlement, "weather_model", 7 * DOLLAR_CASH, TS))
    assert value(metrics, "kalshi_trades_total", strategy="weather_model", side="yes") == 1
    assert value(metrics, "kalshi_trades_total", strategy="weather_model", side="no") == 1
    assert value(metrics, "kalshi_trade_pnl_dollars_bucket", strategy="weather_model", le="-1.0") == 1
    assert value(metrics, "kalshi_trade_pnl_dollars_bucket", strategy="weather_model", le="+Inf") == 2
    assert value(metrics, "kalshi_realized_pnl_dollars", strategy="weather_model") == 5


def test_the_account_is_shown_in_dollars() -> None:
    metrics = Metrics()
    metrics.observe(AccountMarked(90_500_000, 12_250_000, 20_000_000, 3, "2026-11-22", -1_500_000, TS))
    shown = {
        "kalshi_cash_dollars": 90.5,
        "kalshi_portfolio_value_dollars": 102.75,
        "kalshi_at_risk_dollars": 20.0,
        "kalshi_open_positions": 3.0,
        "kalshi_day_pnl_dollars": -1.5,
    }
    assert {name: value(metrics, name) for name in shown} == shown


def test_exactly_one_trading_state_is_current() -> None:
    metrics = Metrics()
    for state in (TradingState.STARTING, TradingState.ACTIVE, TradingState.HALTED):
        metrics.observe(StateChanged(state, "who", "why", None, TS))
        shown = {other: value(metrics, "kalshi_trading_state", state=other.value) for other in TradingState}
        assert shown == {other: float(other is state) for other in TradingState}


def test_reconciliation_differences_are_counted_and_its_time_is_kept() -> None:
    metrics = Metrics()
    metrics.observe(Reconciled(("cash", "T"), (), TS))
    metrics.observe(Reconciled((), (), TS + SECOND))
    assert value(metrics, "kalshi_reconcile_mismatches_total") == 2
    assert value(metrics, "kalshi_last_reconcile_timestamp_seconds") == 1_800_000_001


def test_early_exits_show_what_holding_would_have_made() -> None:
    """Two stops: one saved money, one gave it away; the gauge is their sum."""
    metrics = Metrics()
    for proceeds, hold in ((2_850_000, 0), (2_850_000, 10_000_000)):
        metrics.observe(ExitJudged("s", "weather", "stop_loss", "T", Outcome.YES, 1_000, proceeds, hold, TS))
    labels = {"strategy": "weather", "reason": "stop_loss"}
    assert value(metrics, "kalshi_exits_judged_total", **labels) == 2
    assert value(metrics, "kalshi_exit_gain_dollars", **labels) == pytest.approx(-4.3)


def test_positions_that_cannot_be_sold_are_counted() -> None:
    """Each once, until its way out is back."""
    metrics = Metrics()
    for reason in ("nobody bids", "the exchange is paused"):
        metrics.observe(Noted("exit_path_lost", {"ticker": "T", "reason": reason}, TS))
    assert value(metrics, "kalshi_positions_without_exit") == 1
    metrics.observe(Noted("exit_path_back", {"ticker": "T", "reason": ""}, TS))
    assert value(metrics, "kalshi_positions_without_exit") == 0


def test_journal_only_records_change_nothing() -> None:
    metrics = Metrics()
    before = [sample for sample in metrics.render().splitlines() if sample.startswith(b"kalshi_")]
    metrics.observe(ControlValue("key", "value", TS))
    assert [sample for sample in metrics.render().splitlines() if sample.startswith(b"kalshi_")] == before


def test_the_shell_reports_feeds_lanes_bad_messages_and_build() -> None:
    metrics = Metrics()
    metrics.observe(Noted("feed_up", {"feed": "market"}, 1))
    metrics.observe(Noted("feed_down", {"feed": "weather", "reason": "gone"}, 1))
    metrics.follow_inbox(lambda: (7, 11))
    metrics.follow_book_checks(lambda: {"equal": 3, "wrong": 1, "failed": 0})
    metrics.count_bad_message("kalshi_ws", "yes_price")
    metrics.build("0.1.0", "paper")
    assert value(metrics, "kalshi_feed_up", feed="market") == 1
    assert value(metrics, "kalshi_feed_up", feed="weather") == 0
    assert value(metrics, "kalshi_inbox_depth", lane="urgent") == 7
    assert value(metrics, "kalshi_inbox_depth", lane="market") == 11
    assert value(metrics, "kalshi_book_checks", verdict="wrong") == 1
    assert value(metrics, "kalshi_bad_messages_total", source="kalshi_ws", field="yes_price") == 1
    assert value(metrics, "kalshi_build_info", version="0.1.0", mode="paper") == 1


def test_two_systems_in_one_process_do_not_share_their_numbers() -> None:
    first, second = Metrics(), Metrics()
    first.count_bad_message("rss", "title")
    assert value(second, "kalshi_bad_messages_total", source="rss", field="title") is None
