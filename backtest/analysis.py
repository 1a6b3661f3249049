"""From a run's result to the figures of its report: plain values, ready for JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise

from backtest.estimators import (
    Bin,
    Clustered,
    Moments,
    brier,
    clustered_bootstrap,
    dsr,
    minimum_track_record,
    moments,
    psr,
    reliability,
    slope,
)
from backtest.nulls import NullTest, null_tests
from backtest.runner import Result
from backtest.times import day, moment
from backtest.trades import Trade
from src.core.errors import WireError
from src.core.stations import event_date
from src.core.units import HOUR, Cash, dollars

_EDGES = (0.0, 0.04, 0.06, 0.08, 0.12, 0.20)
MINIMUM_BETS, MINIMUM_CLUSTERS = 200, 100


@dataclass(frozen=True, slots=True)
class Group:
    """Trades that share something. Dollars; ``claimed`` and ``realised`` are per contract."""

    name: str
    bets: int
    contracts: float
    pnl: float
    staked: float
    claimed: float
    realised: float


@dataclass(frozen=True, slots=True)
class Stops:
    """Positions left before settlement, against holding them."""

    reason: str
    bets: int
    pnl: float
    held: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything the report shows of one strategy. Dollars and shares."""

    strategy: str
    pnl: float
    opening: float
    fees: float
    staked: float
    turnover: float
    bets: int
    open_bets: int
    wins: int
    profit_factor: float | None
    max_drawdown: float
    worst_day: float
    expected_shortfall: float
    without_best: float
    without_worst: float
    days: list[tuple[str, float]]
    equity: list[tuple[int, float]]
    daily: Moments
    psr: float | None
    dsr: float | None
    trials: int
    needed_days: float | None
    bootstrap: Clustered | None
    mean_hours_held: float
    groups: dict[str, list[Group]]
    stops: list[Stops]
    calibration: list[Bin]
    brier: float | None
    brier_market: float | None
    signals: int
    edge_points: list[tuple[float, float, float]]
    edge_slope: float | None
    nulls: list[NullTest]
    notes: list[str] = field(default_factory=list)

    @property
    def roi(self) -> float:
        """Profit per dollar staked."""
        return self.pnl / self.staked if self.staked else 0.0

    @property
    def sharpe_annual(self) -> float | None:
        """Daily Sharpe ratio times sqrt(365)."""
        sharpe = self.daily.sharpe
        return None if sharpe is None else sharpe * 365**0.5


def analyse(
    result: Result, *, trials: int = 1, sharpe_variance: float | None = None, seed: int = 0
) -> Analysis:
    """The figures. ``trials``: configurations tried, whose Sharpe ratios vary by ``sharpe_variance``."""
    closed = [trade for trade in result.trades if trade.closed_ts is not None]
    by_day = daily_profits(result)
    returns = [pnl / dollars(result.opening_cash) for _, pnl in by_day]
    daily = moments(returns)
    sharpe = daily.sharpe
    # With one configuration its own sampling variance stands in for the variance over trials.
    variance = sharpe_variance if sharpe_variance is not None else 1 / max(1, daily.n - 1)
    shape = (daily.n, daily.skew, daily.kurtosis)
    clusters: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for trade in closed:
        clusters[cluster_of(trade)].append((dollars(trade.pnl), dollars(trade.cost)))
    gains = sum(dollars(t.pnl) for t in closed if t.pnl > 0)
    losses = -sum(dollars(t.pnl) for t in closed if t.pnl < 0)
    totals = sorted(sum(p for p, _ in rows) for rows in clusters.values())
    pairs = [(said.probability, came) for said, came in result.said]
    offers = [(said.offer, came) for said, came in result.said if said.offer is not None]
    points = [(t.claimed_edge, dollars(t.pnl) / t.contracts, t.contracts) for t in closed if t.bought]
    ordered = sorted(pnl for _, pnl in by_day)
    tail = ordered[: max(1, len(ordered) // 20)]
    staked = sum(dollars(t.cost) for t in closed)
    return Analysis(
        strategy=result.strategy,
        pnl=dollars(result.pnl),
        opening=dollars(result.opening_cash),
        fees=sum(dollars(t.fees) for t in result.trades),
        staked=staked,
        turnover=staked / dollars(result.opening_cash),
        bets=len(closed),
        open_bets=len(result.trades) - len(closed),
        wins=sum(1 for t in closed if t.pnl > 0),
        profit_factor=gains / losses if losses else None,
        max_drawdown=dollars(result.max_drawdown),
        worst_day=ordered[0] if ordered else 0.0,
        expected_shortfall=sum(tail) / len(tail) if tail else 0.0,
        without_best=dollars(result.pnl) - sum(totals[-3:]),
        without_worst=dollars(result.pnl) - sum(totals[:3]),
        days=by_day,
        equity=[(ts, dollars(cash)) for ts, cash in result.curve],
        daily=daily,
        psr=None if sharpe is None else psr(sharpe, 0.0, *shape),
        dsr=None if sharpe is None else dsr(sharpe, variance, trials, *shape),
        trials=trials,
        needed_days=None if sharpe is None else minimum_track_record(sharpe, daily.skew, daily.kurtosis),
        bootstrap=clustered_bootstrap(clusters, seed),
        mean_hours_held=_hours(closed),
        groups=_groups(closed),
        stops=_stops(closed),
        calibration=reliability(pairs),
        brier=brier(
            [(p, c) for (p, c), (s, _) in zip(pairs, result.said, strict=True) if s.offer is not None]
        ),
        brier_market=brier(offers),
        signals=len(result.said),
        edge_points=points,
        edge_slope=slope(points),
        nulls=null_tests(closed, seed),
    )


def cluster_of(trade: Trade) -> str:
    """What shares its fate: the climate day for daily temperature markets (all cities), else the event."""
    try:
        return event_date(trade.event_ticker)
    except WireError:
        return trade.event_ticker


def daily_profits(result: Result) -> list[tuple[str, float]]:
    """Dollars by day of settlement or exit, every day of the run included: idle days are days, too."""
    totals: dict[str, Cash] = defaultdict(int)
    for trade in result.trades:
        if trade.closed_ts is not None:
            totals[day(trade.closed_ts)] += trade.pnl
    first, last = date.fromisoformat(day(result.start)), date.fromisoformat(day(result.end))
    days = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
    return [(name, dollars(totals.get(name, 0))) for name in days]


def _hours(closed: Sequence[Trade]) -> float:
    spans = [(t.closed_ts - t.opened_ts) / HOUR for t in closed if t.closed_ts is not None]
    return sum(spans) / len(spans) if spans else 0.0


def _edge_bucket(trade: Trade) -> str:
    for low, high in pairwise(_EDGES):
        if low <= trade.claimed_edge < high:
            return f"{low * 100:02.0f}-{high * 100:02.0f}c"
    return "under 0c" if trade.claimed_edge < 0 else f"over {_EDGES[-1] * 100:.0f}c"


def _price_bucket(trade: Trade) -> str:
    low = min(int(trade.price * 10 + 1e-9), 9) * 10
    return f"{low:02d}-{low + 10}c"


_KEYS: dict[str, Callable[[Trade], str]] = {
    "series": lambda t: t.series_ticker,
    "side": lambda t: t.outcome.value,
    "price paid": _price_bucket,
    "edge claimed": _edge_bucket,
    "hour of entry (UTC)": lambda t: f"{moment(t.opened_ts).hour:02d}",
    "month": lambda t: day(t.closed_ts or t.opened_ts)[:7],
}


def _groups(closed: Sequence[Trade]) -> dict[str, list[Group]]:
    tables: dict[str, list[Group]] = {}
    for title, key in _KEYS.items():
        rows: dict[str, list[Trade]] = defaultdict(list)
        for trade in closed:
            rows[key(trade)].append(trade)
        tables[title] = [_group(name, trades) for name, trades in sorted(rows.items())]
    return tables


def _group(name: str, trades: Sequence[Trade]) -> Group:
    contracts = sum(t.contracts for t in trades)
    pnl = sum(dollars(t.pnl) for t in trades)
    claimed = sum(t.claimed_edge * t.contracts for t in trades) / contracts
    staked = sum(dollars(t.cost) for t in trades)
    return Group(name, len(trades), contracts, pnl, staked, claimed, pnl / contracts)


def _stops(closed: Sequence[Trade]) -> list[Stops]:
    rows: dict[str, list[Trade]] = defaultdict(list)
    for trade in closed:
        if trade.exit_reason not in {"settlement", ""} and trade.hold_pnl is not None:
            rows[trade.exit_reason].append(trade)
    return [
        Stops(
            reason,
            len(trades),
            sum(dollars(t.pnl) for t in trades),
            sum(dollars(t.hold_pnl or 0) for t in trades),
        )
        for reason, trades in sorted(rows.items())
    ]
