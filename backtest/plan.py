"""What a backtest is asked for, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from backtest.clockwork import Latency
from backtest.trades import OrderTally, Said, Trade
from src.core.ports import Strategy
from src.core.units import DOLLAR_CASH, MINUTE, Cash, Count, Nanos
from src.execution.limits import EntryPolicy, ExitPolicy, RiskLimits
from src.simulator.world import World


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. ``balance`` in 1e-6 dollars; ``seed`` makes the exchange's ids.

    ``queue_share``: see ``VenueRules``. ``bulk``: leave out what cannot matter where the strategy allows it;
    False is the reference to that.
    """

    world: World
    strategy: Strategy
    limits: RiskLimits
    exits: ExitPolicy
    latency: Latency = field(default_factory=lambda: Latency.of_total(250))
    balance: Cash = 10_000 * DOLLAR_CASH
    tick: Nanos = 5 * MINUTE
    seed: int = 0
    queue_share: float | None = None
    entries: EntryPolicy = field(default_factory=EntryPolicy)
    bulk: bool = True


@dataclass(slots=True)
class Result:
    """What came of a run. Cash 1e-6 dollars.

    ``halted``: (time, why) when trading ended before the data did. ``differences``: our ledger against the
    simulated exchange's books, empty when they agree. ``event_starts``: when each event opened.
    ``markouts``: (time after a fill, gain per contract at the middle then in dollars, 0.01 contracts).
    ``taken`` and ``made``: contracts bought as taker and as maker, in 0.01.
    """

    strategy: str
    opening_cash: Cash
    closing_equity: Cash
    trades: list[Trade]
    said: list[tuple[Said, bool]]
    curve: list[tuple[Nanos, Cash]]
    max_drawdown: Cash
    refusals: dict[str, int]
    skips: dict[str, int]
    orders: OrderTally
    alerts: dict[str, int]
    pauses: int
    halted: tuple[Nanos, str] | None
    differences: list[str]
    markets: int
    events: int
    prints: int
    start: Nanos
    end: Nanos
    log: list[tuple[Nanos, str]]
    sha256: str
    wall_seconds: float
    event_starts: tuple[Nanos, ...] = ()
    markouts: list[tuple[Nanos, float, Count]] = field(default_factory=list)
    taken: Count = 0
    made: Count = 0

    @property
    def pnl(self) -> Cash:
        """Profit, open positions at what they would fetch."""
        return self.closing_equity - self.opening_cash
