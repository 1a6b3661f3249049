"""The live terminal view of a demo run: books, signals, orders, profit. A reader of the audit stream."""

from __future__ import annotations

import sys
import time
from collections import deque
from datetime import UTC, datetime

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from src.alerts.terminal import TerminalNotifier
from src.core.actions import (
    AccountMarked,
    Alert,
    AuditRecord,
    FillApplied,
    OrderChanged,
    Refused,
    SettlementApplied,
    Severity,
    SignalRecorded,
)
from src.core.sides import from_book
from src.core.units import ONE_CONTRACT, SECOND, Count, Nanos, dollars
from src.execution.engine import Engine

_ROWS = 10
_REDRAW_SECONDS = 0.2
# Everything but the rows of the two lists: frames, titles, account, progress, and the cursor's line.
_FIXED_LINES = 17
_COLOURS = {Severity.INFO: "white", Severity.WARNING: "yellow", Severity.CRITICAL: "bold red"}


def clock_text(ts: Nanos) -> str:
    """World time for a person, e.g. ``Mon 23 Nov 14:05 UTC``."""
    return datetime.fromtimestamp(ts / SECOND, UTC).strftime("%a %d %b %H:%M UTC")


def _position(count: Count) -> str:
    """Signed contracts as a person says it: ``44 no``."""
    return f"{abs(count) / ONE_CONTRACT:g} {'yes' if count > 0 else 'no'}" if count else "-"


class DemoView:
    """On a terminal a live picture, otherwise one line per step of progress."""

    def __init__(self, console: Console, engine: Engine, label: str) -> None:
        self._console = console
        self._lines = TerminalNotifier(sys.stderr)
        self._engine = engine
        self._label = label
        self._events: deque[Text] = deque(maxlen=_ROWS)
        self._signals: dict[str, SignalRecorded] = {}
        self._mark: AccountMarked | None = None
        self._now: Nanos = 0
        self._signal_ids: set[str] = set()
        self._orders: set[str] = set()
        self._fills = self._settled = 0
        self._live: Live | None = None
        self._drawn = 0.0
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
            # Drawn by ``step``: a thread of Live's own would draw while the engine changes what is drawn.
            self._live = Live(self._render(), console=self._console, auto_refresh=False, transient=True)
            self._live.__enter__()
        else:
            self._console.print(self._label, highlight=False, soft_wrap=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.__exit__(None, None, None)
            self._live = None
        self._lines.flush()

    def observe(self, record: AuditRecord) -> None:
        """Take note of what the engine did."""
        match record:
            case SignalRecorded():
                self._signal_ids.add(record.signal.signal_id)
                self._signals.pop(record.signal.ticker, None)
                self._signals[record.signal.ticker] = record
            case OrderChanged(external=False):
                self._orders.add(record.client_order_id)
            case FillApplied():
                self._fills += 1
                outcome, price = from_book(record.fill.side, record.fill.price)
                self._say(
                    "green",
                    f"filled {record.fill.count / ONE_CONTRACT:g} {outcome.value.upper()} "
                    f"{record.fill.ticker} at {price / 100:g}c, fee ${dollars(record.fill.fee):.4f}",
                )
            case SettlementApplied():
                self._settled += 1
                colour = "green" if record.pnl >= 0 else "red"
                self._say(colour, f"settled {record.settlement.ticker}: {dollars(record.pnl):+.2f} $")
            case Refused():
                self._say("yellow", f"refused {record.ticker}: {record.result.gate}")
            case AccountMarked():
                self._mark = record

    def send(self, alert: Alert) -> None:
        """An alert for a person (``Notifier``): a line of the live picture, or of the output."""
        if self._live is not None:
            self._say(_COLOURS[alert.severity], alert.text)
        else:
            self._lines.send(alert)

    def step(self, now: Nanos, share: float) -> None:
        """Show the state at world time ``now``; ``share`` of the run is done."""
        self._now, self._share = now, share
        self._progress.update(self._task, completed=share)
        if self._live is not None:
            if time.monotonic() - self._drawn >= _REDRAW_SECONDS:
                self._live.update(self._render(), refresh=True)
                self._drawn = time.monotonic()
        elif int(share * 20) > self._printed:
            self._printed = int(share * 20)
            self._console.print(
                f"{share:4.0%}  {clock_text(now)}  {self._summary()}", highlight=False, soft_wrap=True
            )

    def _say(self, colour: str, text: str) -> None:
        self._events.append(
            Text(f"{clock_text(self._now)}  {text}", style=colour, overflow="ellipsis", no_wrap=True)
        )

    def _summary(self) -> str:
        equity = self._engine.equity() if self._mark is not None else 0
        return (
            f"signals {len(self._signal_ids)}  orders {len(self._orders)}  fills {self._fills}  "
            f"settled {self._settled}  equity ${dollars(equity):,.2f}  "
            f"today {dollars(self._engine.control.equity.day_pnl):+.2f} $"
        )

    def _room(self) -> int:
        """Rows for each of the two lists, so that the whole picture fits the window."""
        return max(1, min(_ROWS, (self._console.height - _FIXED_LINES) // 2))

    def _render(self) -> Group:
        head = Text(
            f"{self._label}\n{clock_text(self._now)}   state {self._engine.control.state.value.upper()}",
            style="bold",
            overflow="ellipsis",
            no_wrap=True,
        )
        room = self._room()
        recent = list(self._events)[-room:] or [Text("nothing yet", style="dim")]
        summary = Text(self._summary(), overflow="ellipsis", no_wrap=True)
        return Group(
            Panel(head, style="cyan"),
            self._books(room),
            Panel(Group(*recent), title="orders and settlements", height=room + 2),
            Panel(summary, title="account"),
            self._progress,
        )

    def _books(self, room: int) -> Table:
        table = Table(title="latest opinions", expand=True)
        for column in ("market", "bid", "ask", "we say", "edge", "verdict", "position"):
            table.add_column(
                column, justify="left" if column in {"market", "verdict"} else "right", no_wrap=True
            )
        shown = list(self._signals.values())[-room:]
        for record in shown:
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
                _position(self._engine.position(signal.ticker)),
            )
        for _ in range(room - len(shown)):
            table.add_row()  # the picture keeps its height, so that it does not jump
        return table
