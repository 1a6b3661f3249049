"""A real engine on a synthetic exchange, for drills: nothing it approves is ever sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from src.core.actions import Refused, StoredOrder, StoredState
from src.core.events import (
    AccountReport,
    ClockOffset,
    Event,
    ExchangeStatus,
    FeedUp,
    MarketUpdate,
    Tick,
    VenuePosition,
)
from src.core.ports import MarketView
from src.core.sides import Outcome
from src.core.signal import (
    Purpose,
    Signal,
)
from src.core.units import DAY, DOLLAR_CASH, Cash, Count, Nanos
from src.execution.drill_props import (
    ASK,
    BID,
    ELSEWHERE,
    NOW,
    PAID,
    STRATEGY,
    TICKER,
    Held,
    bought,
    market,
    quote,
)
from src.execution.engine import Action, Engine
from src.execution.limits import ExitPolicy, ReconcilePolicy, RiskLimits
from src.execution.risk import Approved


@dataclass(frozen=True, slots=True)
class GateDrill:
    """``play(limits)`` is the verdict on a signal that ``refusal`` of ``control`` must refuse.

    ``clean(limits)``: on the same signal without the violation, which must be approved.
    """

    control: str
    refusal: str
    play: Callable[[RiskLimits], str]
    clean: Callable[[RiskLimits], str]


class DrillStrategy:
    """Says what a drill wants it to say."""

    name = STRATEGY

    def __init__(self) -> None:
        self.next: list[Signal] = []

    def on_event(self, view: MarketView, event: Event) -> Sequence[Signal]:
        """Hand out what was prepared."""
        said, self.next = self.next, []
        return said

    def fair_probability(self, view: MarketView, ticker: str) -> float | None:
        """No opinion: exits by opinion are not drilled here."""
        return None


class Bench:
    """The engine, reconciled and ready: one open market at 0.10 / 0.11 and whatever is held."""

    def __init__(
        self,
        limits: RiskLimits,
        held: Sequence[Held] = (),
        *,
        balance: Cash = 1_000_000 * DOLLAR_CASH,
        price_stop: bool = False,
        values: dict[str, str] | None = None,
        exits: Sequence[StoredOrder] = (),
        shards: tuple[tuple[int, Cash], ...] = (),
        reports: bool = True,
        clock_known: bool = True,
        status_known: bool = True,
    ) -> None:
        self.strategy = DrillStrategy()
        self.limits = limits
        self._held, self._balance, self._shards = held, balance, shards
        policy = ExitPolicy(price_stop=price_stop)
        self.engine = Engine([self.strategy], limits, ReconcilePolicy(), {STRATEGY: policy})
        earlier = [bought(item) for item in held]
        stored = StoredState(
            orders=(*(order for order, _ in earlier), *exits),
            fills=tuple(fill for _, fill in earlier),
            opening_cash=balance + sum(item.count * PAID for item in held),
            opening_ts=NOW - DAY,
            values=values or {},
        )
        self.engine.start(stored, NOW)
        self.hear(FeedUp("market", NOW))
        if clock_known:
            self.hear(ClockOffset(0, NOW))
        if status_known:
            self.hear(ExchangeStatus(True, True, NOW))
        self.hear(MarketUpdate(market(TICKER), NOW), quote(TICKER, BID, ASK))
        for item in held:
            if item.ticker != TICKER:
                self.hear(MarketUpdate(market(item.ticker), NOW))
            if item.quote is not None:
                self.hear(quote(item.ticker, *item.quote))
        if reports:
            self.hear(self.report())

    def hear(self, *events: Event) -> list[Action]:
        """What the engine makes of events."""
        return [action for event in events for action in self.engine.handle(event)]

    def report(self, ts: Nanos = NOW, strange: Count = 0) -> AccountReport:
        """The venue's records, ``strange`` contracts of which nobody ordered."""
        positions = [
            VenuePosition(
                item.ticker, item.count if item.outcome is Outcome.YES else -item.count, item.cost, 0, 0
            )
            for item in self._held
        ]
        if strange:
            positions.append(VenuePosition(ELSEWHERE, strange, 0, 0, 0))
        return AccountReport(
            (), (), (), tuple(positions), self._balance, ts, ts, ts, self._shards, at_once=True
        )

    def say(self, signal: Signal, ts: Nanos = NOW) -> str:
        """The gate that refuses a signal, "approved", or "" when nothing came of it."""
        return verdict(self.said(signal, ts))

    def said(self, signal: Signal, ts: Nanos = NOW) -> list[Action]:
        """Everything the engine does about a signal."""
        self.strategy.next = [replace(signal, ts=ts)]
        return self.hear(Tick(ts))

    def late(self, signal: Signal, ts: Nanos) -> str:
        """The verdict on a signal that was made now and is heard of at ``ts``."""
        self.strategy.next = [signal]
        return verdict(self.hear(Tick(ts)))


def verdict(actions: Sequence[Action]) -> str:
    """What became of the one signal in a list of actions."""
    for action in actions:
        if isinstance(action, Refused):
            return action.result.gate
        if isinstance(action, Approved) and action.intent.purpose is Purpose.ENTRY:
            return "approved"
    return ""
