"""What an engine decided, read along with it: trades, refusals, alerts, halts and the decision log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from backtest.trades import Said, TradeBook
from src.core.actions import (
    AccountMarked,
    Alert,
    FillApplied,
    OrderChanged,
    Refused,
    SettlementApplied,
    Severity,
    SignalRecorded,
    StateChanged,
    TradingState,
)
from src.core.book import OrderBook
from src.core.market import Market
from src.core.units import Nanos
from src.execution.risk import Approved
from src.monitoring.decision_log import DecisionLog, sha256_of

# Most records are about what is stored, not about what was decided.
_READ = frozenset(
    {AccountMarked, FillApplied, OrderChanged, Refused, SettlementApplied, SignalRecorded, StateChanged}
)


class Observer:
    """Reads the actions of one run in their order.

    ``lines``: (time, line) of the decision log. ``halted``: (time, why) of the last halt. ``pauses``: how
    often entries were stopped for a while. ``alerts``: warnings and worse, by kind.
    """

    def __init__(self) -> None:
        self.book = TradeBook()
        self.lines: list[tuple[Nanos, str]] = []
        self.alerts: Counter[str] = Counter()
        self.pauses = 0
        self.halted: tuple[Nanos, str] | None = None
        self._log = DecisionLog(lambda ts, line: self.lines.append((ts, line)))

    def approved(self, approved: Approved, book: OrderBook | None, now: Nanos) -> None:
        """An order leaves; ``book``: of its market as the engine sees it."""
        self.book.sent(approved.intent, book.mid if book is not None else None)
        self._log.approved(approved, now)

    def alerted(self, alert: Alert) -> None:
        """A person was told something."""
        if alert.severity is not Severity.INFO:
            self.alerts[alert.key.partition(":")[0]] += 1

    def recorded(self, record: object, market: Market | None, book: OrderBook | None, now: Nanos) -> None:
        """A record was made; ``market`` and ``book``: of a fill."""
        if type(record) not in _READ:
            return
        if isinstance(record, StateChanged):
            self.pauses += record.state is TradingState.REDUCING
            if record.state is TradingState.HALTED:
                self.halted = (now, record.why)
        mid = book.mid if book is not None else None
        self.book.observe(record, market, mid)  # type: ignore[arg-type]
        self._log.observe(record)  # type: ignore[arg-type]

    def judged(self, results: Mapping[str, bool]) -> list[tuple[Said, bool]]:
        """Tell the trades how their markets ended (True: YES); what was said of those markets, and if so."""
        for trade in self.book.trades:
            if trade.ticker in results:
                trade.won = results[trade.ticker] == (trade.outcome.value == "yes")
        return [
            (said, results[said.ticker] == (said.outcome.value == "yes"))
            for said in self.book.said.values()
            if said.ticker in results
        ]

    def sha256(self) -> str:
        """Digest of the decision log."""
        return sha256_of(line for _, line in self.lines)
