"""Every decision of a run as canonical JSON lines, and their sha256: two equal runs have equal bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping

from src.core.actions import (
    AuditRecord,
    FillApplied,
    OrderChanged,
    Refused,
    SettlementApplied,
    SignalRecorded,
    StateChanged,
)
from src.core.ports import ApprovedOrder
from src.core.units import Nanos

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class DecisionLog:
    """Turns decisions into lines, in order: ``write(time of the decision, line)``."""

    def __init__(self, write: Callable[[Nanos, str], None]) -> None:
        self._write = write

    def approved(self, approved: ApprovedOrder, ts: Nanos) -> None:
        """An order left the engine."""
        intent = approved.intent
        self._add(
            ts,
            "order",
            {
                "id": intent.client_order_id,
                "strategy": intent.strategy,
                "ticker": intent.ticker,
                "side": intent.side.value,
                "price": intent.price,
                "count": intent.count,
                "purpose": intent.purpose.value,
                "edge": intent.expected_edge,
                "probability": intent.probability,
                "reserved": approved.reserved,
            },
        )

    def observe(self, record: AuditRecord) -> None:
        """Write the records that say what was decided and what came of it."""
        match record:
            case SignalRecorded():
                signal = record.signal
                body = {
                    "id": signal.signal_id,
                    "strategy": signal.strategy,
                    "ticker": signal.ticker,
                    "outcome": signal.outcome.value,
                    "probability": signal.probability,
                    "verdict": record.verdict,
                    "details": dict(signal.details),
                }
                self._add(record.ts, "signal", body)
            case Refused():
                numbers = dict(record.result.numbers)
                self._add(
                    record.ts, "refused", {"id": record.signal_id, "gate": record.result.gate, **numbers}
                )
            case OrderChanged():
                body = {
                    "id": record.client_order_id,
                    "status": record.status.value,
                    "filled": record.filled,
                    "reason": record.reason,
                }
                self._add(record.ts, "order_changed", body)
            case FillApplied():
                fill = record.fill
                body = {
                    "id": fill.client_order_id,
                    "trade": fill.trade_id,
                    "price": fill.price,
                    "count": fill.count,
                    "fee": fill.fee,
                }
                self._add(record.ts, "fill", body)
            case SettlementApplied():
                paid = record.settlement
                self._add(
                    record.ts, "settled", {"ticker": paid.ticker, "value": paid.value, "pnl": record.pnl}
                )
            case StateChanged():
                self._add(
                    record.ts, "state", {"state": record.state.value, "who": record.who, "why": record.why}
                )

    def _add(self, ts: Nanos, kind: str, body: Mapping[str, object]) -> None:
        self._write(ts, _ENCODER.encode({"ts": ts, "kind": kind, **body}))


def sha256_of(lines: Iterable[str]) -> str:
    """Digest of lines, each ended by a newline."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
        digest.update(b"\n")
    return digest.hexdigest()
