"""A fill can be followed back to its cause in the log."""

from __future__ import annotations

import structlog
from structlog.testing import capture_logs

import tests.execution.builders as b
from src.core.events import OrderAccepted, Tick
from src.core.units import ONE_CONTRACT
from src.monitoring.audit_log import AuditLog


def test_one_trace_id_leads_from_the_signal_to_the_fill() -> None:
    """Signal, order and fill carry the id of the news that caused them; refusals stay at debug level."""
    structlog.reset_defaults()
    engine, strategy = b.ready()
    reader = AuditLog()
    with capture_logs() as lines:
        strategy.next = [b.signal(cause="forecast:42"), b.signal(probability=0.1, cause="forecast:43")]
        actions = engine.handle(Tick(b.NOW))
        (approved,) = b.approvals(actions)
        fill = b.fill_of(approved, ONE_CONTRACT, fee=1_800)
        accepted = OrderAccepted(approved.intent.client_order_id, fill.order_id, 0, 100, b.NOW, b.NOW)
        for action in (*actions, *engine.handle(accepted), *engine.handle(fill)):
            reader.observe(action)  # type: ignore[arg-type]
    traced = [line["event"] for line in lines if line.get("trace_id") == "forecast:42"]
    assert traced[0] == "signal"
    assert {"order", "fill"} <= set(traced)
    assert [line["log_level"] for line in lines if line["event"] == "refused"] == ["debug"]
