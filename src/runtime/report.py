"""What a run did: counted from the audit stream, checked against the exchange's own books."""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from src.core.actions import (
    AccountMarked,
    AuditRecord,
    FillApplied,
    OrderChanged,
    Refused,
    SettlementApplied,
    SignalRecorded,
)
from src.core.signal import Purpose
from src.core.units import ONE_CONTRACT, Cash, Nanos, dollars


@dataclass(frozen=True, slots=True)
class Report:
    """The numbers of a run; ``to_json`` is the file others read. Dollars are exact to 1e-6."""

    world: str
    days: int
    signals: int
    refused: dict[str, int]
    orders_sent: int
    orders_by_status: dict[str, int]
    fills: int
    contracts: float
    fees_dollars: float
    pnl_dollars: float
    max_drawdown_dollars: float
    win_rate: float | None
    settled_markets: int
    settled_events: int
    ledger_matches_exchange: bool
    ledger_differences: list[str]
    wall_seconds: float
    latency_ms: dict[str, float | None]
    peak_rss_mb: float
    seed: int | None = None
    settings: dict[str, float | int | str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write as JSON, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(path.suffix + ".partial")
        partial.write_text(json.dumps(asdict(self), indent=2) + "\n")
        partial.replace(path)


class ReportReader:
    """Reads the audit stream of one run."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._signals: set[str] = set()
        self._refused: Counter[str] = Counter()
        self._orders: dict[str, OrderChanged] = {}
        self._fills: list[FillApplied] = []
        self._outcomes: list[Cash] = []
        self._settled: set[str] = set()
        self._peak_equity: Cash | None = None
        self._drawdown: Cash = 0
        self._latencies: list[Nanos] = []

    def observe(self, record: AuditRecord) -> None:
        """Count a record."""
        match record:
            case SignalRecorded():
                self._signals.add(record.signal.signal_id)
            case Refused():
                self._refused[record.result.gate] += 1
            case OrderChanged(external=False):
                self._orders[record.client_order_id] = record
            case FillApplied():
                self._fills.append(record)
                if record.realized:
                    self._outcomes.append(record.realized)
            case SettlementApplied():
                self._settled.add(record.settlement.ticker)
                if record.pnl:
                    self._outcomes.append(record.pnl)
            case AccountMarked():
                self._mark(record.cash + record.liquidation)

    def on_latency(self, latency: Nanos) -> None:
        """From an event's arrival to its order being sent, nanoseconds."""
        self._latencies.append(latency)

    @property
    def entries_filled(self) -> int:
        """Entry orders with at least one fill."""
        return sum(
            1 for order in self._orders.values() if order.filled and order.intent.purpose is Purpose.ENTRY
        )

    def finish(
        self,
        *,
        world: str,
        days: int,
        seed: int | None,
        opening_cash: Cash,
        closing_equity: Cash,
        settled_markets: int,
        settled_events: int,
        differences: Sequence[str],
        settings: dict[str, float | int | str],
    ) -> Report:
        """The report, given what only the composition root knows."""
        wins = sum(1 for outcome in self._outcomes if outcome > 0)
        self._mark(closing_equity)
        return Report(
            world=world,
            days=days,
            signals=len(self._signals),
            refused=dict(sorted(self._refused.items())),
            orders_sent=len(self._orders),
            orders_by_status=dict(Counter(order.status.value for order in self._orders.values())),
            fills=len(self._fills),
            contracts=sum(fill.fill.count for fill in self._fills) / ONE_CONTRACT,
            fees_dollars=dollars(sum(fill.fill.fee for fill in self._fills)),
            pnl_dollars=dollars(closing_equity - opening_cash),
            max_drawdown_dollars=dollars(self._drawdown),
            win_rate=wins / len(self._outcomes) if self._outcomes else None,
            settled_markets=settled_markets,
            settled_events=settled_events,
            ledger_matches_exchange=not differences,
            ledger_differences=list(differences),
            wall_seconds=round(time.perf_counter() - self._started, 3),
            latency_ms={"p50": _quantile(self._latencies, 0.50), "p99": _quantile(self._latencies, 0.99)},
            peak_rss_mb=round(peak_rss_mb(), 1),
            seed=seed,
            settings=settings,
        )

    def _mark(self, equity: Cash) -> None:
        self._peak_equity = equity if self._peak_equity is None else max(self._peak_equity, equity)
        self._drawdown = max(self._drawdown, self._peak_equity - equity)


def _quantile(latencies: Sequence[Nanos], share: float) -> float | None:
    """A quantile in milliseconds, or None without samples."""
    if not latencies:
        return None
    if len(latencies) == 1:
        return latencies[0] / 1e6
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return round(cuts[round(share * 100) - 1] / 1e6, 4)


def peak_rss_mb() -> float:
    """Peak resident memory of this program in MB.

    From Linux of the program alone: ``ru_maxrss`` also counts what the process that started it held.
    """
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024) if sys.platform == "darwin" else peak / 1024


def machine_name() -> str:
    """What figures were measured on, for comparisons."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{model}, {os.cpu_count()} cores, Python {sys.version.split()[0]}"
