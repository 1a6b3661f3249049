"""What a drill speaks with and what it watches: a strategy on command, alerts, verdicts, and every send."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from src.core.actions import (
    Alert,
    AmendOrder,
    AuditRecord,
    CancelOrder,
    Noted,
    OrderChanged,
    SignalRecorded,
    StateChanged,
    TradingState,
)
from src.core.events import (
    AccountReport,
    AmendAnswered,
    CancelAnswered,
    Event,
    OrderAccepted,
    OrderRejected,
    OrderUnknown,
    Tick,
)
from src.core.ports import ApprovedOrder, MarketView, OrderGateway
from src.core.signal import Purpose, Signal, make_signal_id
from src.core.units import Nanos
from src.execution.engine import Engine
from src.runtime.drill_world import HELD_OUTCOME, event_of

_WORTH = 0.97


class DrillStrategy:
    """A ``Strategy`` that says what it is told to, on the next tick. ``life`` makes its causes new."""

    def __init__(self, life: int = 0) -> None:
        self._life = life
        self._said = 0
        self._waiting: list[tuple[str, str]] = []

    @property
    def name(self) -> str:
        """``"drill"``."""
        return "drill"

    def say(self, ticker: str) -> str:
        """Give an opinion about ``ticker`` on the next tick; returns the signal's id."""
        self._said += 1
        cause = f"drill:{self._life}:{self._said}"
        self._waiting.append((ticker, cause))
        return make_signal_id(self.name, cause, ticker, HELD_OUTCOME)

    def on_event(self, view: MarketView, event: Event) -> Sequence[Signal]:
        """What waits, on ticks."""
        if not isinstance(event, Tick):
            return ()
        waiting, self._waiting = self._waiting, []
        return [self._signal(ticker, cause, view.now) for ticker, cause in waiting]

    def fair_probability(self, view: MarketView, ticker: str) -> float | None:
        """It never changes its mind."""
        return _WORTH

    def _signal(self, ticker: str, cause: str, now: Nanos) -> Signal:
        return Signal(
            signal_id=make_signal_id(self.name, cause, ticker, HELD_OUTCOME),
            strategy=self.name,
            ticker=ticker,
            event_ticker=event_of(ticker),
            outcome=HELD_OUTCOME,
            probability=_WORTH,
            std_error=0.01,
            min_edge=0.0,
            cause_id=cause,
            cause_ts=now,
            ts=now,
        )


class DrillWatch:
    """Reads the audit stream and the alerts of all lives of one drill.

    ``broken``: rules that were broken; ``doubts``: how often the feed took its word for books back.
    """

    def __init__(self) -> None:
        self.verdicts: dict[str, str] = {}
        self.states: list[StateChanged] = []
        self.notes: Counter[str] = Counter()
        self.alerts: list[Alert] = []
        self.own_ids: set[str] = set()
        self.bad: Counter[str] = Counter()
        self.broken: list[str] = []
        self.doubts = 0

    def observe(self, record: AuditRecord) -> None:
        """Take note of a record."""
        match record:
            case SignalRecorded():
                self.verdicts[record.signal.signal_id] = record.verdict
            case StateChanged():
                self.states.append(record)
            case Noted():
                self.notes[record.kind] += 1
            case OrderChanged(external=False):
                self.own_ids.add(record.client_order_id)

    def send(self, alert: Alert) -> None:
        """Keep an alert."""
        self.alerts.append(alert)

    def count_bad(self, source: str, what: str) -> None:
        """A message of the exchange that broke its contract."""
        self.bad[what] += 1

    def told(self, key: str) -> bool:
        """Whether an alert whose key begins so was given."""
        return any(alert.key.startswith(key) for alert in self.alerts)

    def halts(self) -> int:
        """How often trading was halted."""
        return sum(1 for change in self.states if change.state is TradingState.HALTED)


class WatchedGateway:
    """The gateway, with every send held against the rules at the moment it leaves."""

    def __init__(self, inner: OrderGateway, engine: Engine, watch: DrillWatch) -> None:
        self._inner = inner
        self._engine = engine
        self._watch = watch
        self._sent: set[str] = set()

    async def submit(self, approved: ApprovedOrder) -> OrderAccepted | OrderRejected | OrderUnknown:
        """Send once, and see that it may be sent."""
        intent = approved.intent
        self._watch.own_ids.add(intent.client_order_id)
        if intent.client_order_id in self._sent:
            self._watch.broken.append(f"an order was sent twice: {intent.client_order_id}")
        self._sent.add(intent.client_order_id)
        if intent.purpose is Purpose.ENTRY:
            state = self._engine.control.state
            if state is not TradingState.ACTIVE:
                self._watch.broken.append(f"an entry left while {state.value}: {intent.ticker}")
            if intent.book_ts is None:
                self._watch.broken.append(f"an entry was priced without a book: {intent.ticker}")
        return await self._inner.submit(approved)

    async def cancel(self, order: CancelOrder) -> CancelAnswered:
        """Cancels may always leave."""
        return await self._inner.cancel(order)

    async def amend(self, order: AmendOrder) -> AmendAnswered:
        """An amendment makes an order smaller or keeps it alive; it never adds risk."""
        return await self._inner.amend(order)

    async def report(self, since: Nanos) -> AccountReport:
        """Read the exchange's records."""
        return await self._inner.report(since)
