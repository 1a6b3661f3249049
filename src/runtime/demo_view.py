"""The live terminal view of a demo run: books, signals, orders, profit. A reader of the audit stream."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from src.core.actions import (
    AccountMarked,
    AuditRecord,
    FillApplied,
    OrderChanged,
    Refused,
    SettlementApplied,
    SignalRecorded,
)
from src.core.sides import from_book
from src.core.units import ONE_CONTRACT, SECOND, Nanos, dollars
from src.execution.engine import Engine

_ROWS = 8


def clock_text(ts: Nanos) -> str:
    """World time for a person, e.g. ``Mon 23 Nov 14:05 UTC``."""
    return datetime.fromtimestamp(ts / SECOND, UTC).strftime("%a %d %b %H:%M UTC")


class DemoView:
    """On a terminal a live picture, otherwise one line per step of progress."""

    def __init__(self, console: Console, engine: Engine, label: str) -> None:
        self._console = console
        self._engine = engine
        self._label = label
        self._events: deque[Text] = deque(maxlen=_ROWS)
        self._signals: dict[str, SignalRecorded] = {}
        self._mark: AccountMarked | None = None
        self._now: Nanos = 0
        self._counts = {"signals": 0, "orders": 0, "fills": 0, "settled": 0}
        self._live: Live | None = None
        self._printed = -1
        self._share = 0.0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            expand=True,
        )
        self._task = self._progress.add_task("world", total=1.0)

    def __enter__(self) -> DemoView:
        if self._console.is_terminal:
            self._live = Live(self._render(), console=self._console, refresh_per_second=5, transient=True)
            self._live.__enter__()
        else:
            self._console.print(self._label)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.__exit__(None, None, None)

    def observe(self, record: AuditRecord) -> None:
        """Take note of what the engine did."""
        match record:
            case SignalRecorded():
                self._counts["signals"] += 1
                self._signals.pop(record.signal.ticker, None)
                self._signals[record.signal.ticker] = record
            case OrderChanged(external=False) if record.status.value == "pending_new" or not record.order_id:
                self._counts["orders"] += record.status.value == "pending_new"
            case FillApplied():
                self._counts["fills"] += 1
                outcome, price = from_book(record.fill.side, record.fill.price)
                self._say(
                    "green",
                    f"filled {record.fill.count / ONE_CONTRACT:g} {outcome.value.upper()} "
                    f"{record.fill.ticker} at {price / 100:g}c, fee ${dollars(record.fill.fee):.4f}",
                )
            case SettlementApplied():
                self._counts["settled"] += 1
                colour = "green" if record.pnl >= 0 else "red"
                self._say(colour, f"settled {record.settlement.ticker}: {dollars(record.pnl):+.2f} $")
            case Refused():
                self._say("yellow", f"refused {record.ticker}: {record.result.gate}")
            case AccountMarked():
                self._mark = record

    def step(self, now: Nanos, share: float) -> None:
        """Show the state at world time ``now``; ``share`` of the run is done."""
        self._now, self._share = now, share
        self._progress.update(self._task, completed=share)
        if self._live is not None:
            self._live.update(self._render())
        elif int(share * 20) > self._printed:
            self._printed = int(share * 20)
            self._console.print(f"{share:4.0%}  {clock_text(now)}  {self._summary()}", highlight=False)

    def _say(self, colour: str, text: str) -> None:
        self._events.append(
            Text(f"{clock_text(self._now)}  {text}", style=colour, overflow="ellipsis", no_wrap=True)
        )

    def _summary(self) -> str:
        counts = self._counts
        equity = self._engine.equity() if self._mark is not None else 0
        return (
            f"signals {counts['signals']}  fills {counts['fills']}  settled {counts['settled']}  "
            f"equity ${dollars(equity):,.2f}  day {dollars(self._engine.control.day_pnl):+.2f}"
        )

    def _render(self) -> Group:
        head = Text(
            f"{self._label}\n{clock_text(self._now)}   state {self._engine.control.state.value.upper()}",
            style="bold",
        )
        return Group(
            Panel(head, style="cyan"),
            self._books(),
            Panel(
                Group(*self._events) if self._events else Text("nothing yet"), title="orders and settlements"
            ),
            Panel(Text(self._summary()), title="account"),
            self._progress,
        )

    def _books(self) -> Table:
        table = Table(title="markets with an opinion", expand=True)
        for column in ("market", "bid", "ask", "we say", "edge", "verdict", "position"):
            table.add_column(
                column, justify="left" if column in {"market", "verdict"} else "right", no_wrap=True
            )
        for record in list(self._signals.values())[-_ROWS:]:
            signal = record.signal
            book = self._engine.book(signal.ticker)
            bid, ask = (book.best_bid, book.best_ask) if book else (None, None)
            table.add_row(
                signal.ticker,
                "-" if bid is None else f"{bid / 100:g}c",
                "-" if ask is None else f"{ask / 100:g}c",
                f"{signal.outcome.value} {signal.probability:.0%}",
                "-" if record.edge is None else f"{record.edge * 100:.1f}c",
                record.verdict,
                f"{self._engine.position(signal.ticker) / ONE_CONTRACT:+g}",
            )
        return table
