"""From a run's result to the figures of its report: plain values, ready for JSON."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from backtest.estimators import (
    Bin,
    Clustered,
    Interval,
    Moments,
    brier,
    clustered_bootstrap,
    dsr,
    log_score,
    minimum_track_record,
    moments,
    newey_west_sharpe,
    psr,
    reliability,
    slope,
    stationary_sharpe,
)
from backtest.exposure import (
    Markout,
    Stops,
    early_sales,
    lock_up,
    longest_drawdown,
    markouts_of,
    mean_hours_held,
    random_side,
    time_in_market,
)
from backtest.groups import MINIMUM_BETS, MINIMUM_CLUSTERS, Group, cluster_of, grouped
from backtest.nulls import NullTest, null_tests
from backtest.plan import Result
from backtest.times import day
from backtest.trades import Trade
from src.core.units import ONE_CONTRACT, Cash, dollars

# Below this an interval is not even shown.
_FEWEST_CLUSTERS = 20


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything the report shows of one strategy. Dollars and shares."""

    strategy: str
    pnl: float
    opening: float
    fees: float
    fees_trade_date: float
    fees_today: float
    staked: float
    turnover: float
    lock_up: float
    time_in_market: float
    bets: int
    open_bets: int
    wins: int
    profit_factor: float | None
    max_drawdown: float
    drawdown_days: float
    worst_day: float
    expected_shortfall: float
    without_best: float
    without_worst: float
    days: list[tuple[str, float]]
    equity: list[tuple[int, float]]
    daily: Moments
    sharpe: Interval | None
    sharpe_newey_west: float | None
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
    log_score: float | None
    log_score_market: float | None
    signals: int
    edge_points: list[tuple[float, float, float]]
    edge_slope: float | None
    nulls: list[NullTest]
    markouts: list[Markout]
    random_side: float | None
    taken: float
    made: float
    notes: list[str] = field(default_factory=list)

    @property
    def roi(self) -> float:
        """Profit per dollar staked."""
        return self.pnl / self.staked if self.staked else 0.0

    @property
    def is_autocorrelated(self) -> bool:
        """Whether the days' correlation with their neighbours is significant (5 %)."""
        return abs(self.daily.autocorrelation) > 1.96 / math.sqrt(max(1, self.daily.n))

    @property
    def sharpe_annual(self) -> float | None:
        """Daily Sharpe ratio times sqrt(365); where neighbouring days move together, that of Newey-West."""
        sharpe = self.sharpe_newey_west if self.is_autocorrelated else self.daily.sharpe
        return None if sharpe is None else sharpe * 365**0.5

    @property
    def interval(self) -> Interval | None:
        """The profit with its interval; None where too few clusters would make it look exact."""
        few = self.bootstrap is None or self.bootstrap.clusters < _FEWEST_CLUSTERS
        return None if few or self.bootstrap is None else self.bootstrap.total

    @property
    def is_conclusive(self) -> bool:
        """Whether there are bets and clusters enough to conclude anything."""
        clusters = self.bootstrap.clusters if self.bootstrap else 0
        return self.bets >= MINIMUM_BETS and clusters >= MINIMUM_CLUSTERS


def analyse(
    result: Result, *, trials: int = 1, sharpe_variance: float | None = None, seed: int = 0
) -> Analysis:
    """The figures. ``trials``: configurations tried, whose Sharpe ratios vary by ``sharpe_variance``."""
    closed = [trade for trade in result.trades if trade.closed_ts is not None]
    by_day = daily_profits(result)
    returns = [pnl / dollars(result.opening_cash) for _, pnl in by_day]
    daily = moments(returns)
    probabilistic, deflated, needed_days = _significance(daily, trials, sharpe_variance)
    clusters = _clusters(closed)
    gains = sum(dollars(t.pnl) for t in closed if t.pnl > 0)
    losses = -sum(dollars(t.pnl) for t in closed if t.pnl < 0)
    totals = sorted(sum(p for p, _ in rows) for rows in clusters.values())
    pairs = [(said.probability, came) for said, came in result.said]
    offers = [(said.offer, came) for said, came in result.said if said.offer is not None]
    priced = [(p, c) for (p, c), (s, _) in zip(pairs, result.said, strict=True) if s.offer is not None]
    points = [(t.claimed_edge, dollars(t.pnl) / t.contracts, t.contracts) for t in closed if t.bought]
    ordered = sorted(pnl for _, pnl in by_day)
    tail = ordered[: max(1, len(ordered) // 20)]
    staked = sum(dollars(t.cost) for t in closed)
    return Analysis(
        strategy=result.strategy,
        pnl=dollars(result.pnl),
        opening=dollars(result.opening_cash),
        fees=sum(dollars(t.fees) for t in result.trades),
        fees_trade_date=sum(dollars(t.fees_then) for t in result.trades),
        fees_today=sum(dollars(t.fees_today) for t in result.trades),
        staked=staked,
        turnover=staked / dollars(result.opening_cash),
        lock_up=lock_up(result),
        time_in_market=time_in_market(result),
        bets=len(closed),
        open_bets=len(result.trades) - len(closed),
        wins=sum(1 for t in closed if t.pnl > 0),
        profit_factor=gains / losses if losses else None,
        max_drawdown=dollars(result.max_drawdown),
        drawdown_days=longest_drawdown(result),
        worst_day=ordered[0] if ordered else 0.0,
        expected_shortfall=sum(tail) / len(tail) if tail else 0.0,
        without_best=dollars(result.pnl) - sum(totals[-3:]),
        without_worst=dollars(result.pnl) - sum(totals[:3]),
        days=by_day,
        equity=[(ts, dollars(cash)) for ts, cash in result.curve],
        daily=daily,
        sharpe=stationary_sharpe(returns, seed),
        sharpe_newey_west=newey_west_sharpe(returns),
        psr=probabilistic,
        dsr=deflated,
        trials=trials,
        needed_days=needed_days,
        bootstrap=clustered_bootstrap(clusters, seed),
        mean_hours_held=mean_hours_held(closed),
        groups=grouped(closed),
        stops=early_sales(closed),
        calibration=reliability(pairs),
        brier=brier(priced),
        brier_market=brier(offers),
        log_score=log_score(priced),
        log_score_market=log_score(offers),
        signals=len(result.said),
        edge_points=points,
        edge_slope=slope(points),
        nulls=null_tests(closed, seed),
        markouts=markouts_of(result, closed),
        random_side=random_side(closed),
        taken=result.taken / ONE_CONTRACT,
        made=result.made / ONE_CONTRACT,
    )


def _significance(
    daily: Moments, trials: int, variance: float | None
) -> tuple[float | None, float | None, float | None]:
    """Probabilistic and deflated Sharpe ratio, days needed for 95 %; None without a Sharpe ratio."""
    sharpe = daily.sharpe
    if sharpe is None:
        return None, None, None
    # With one configuration its own sampling variance stands in for the variance over trials.
    spread = variance if variance is not None else 1 / max(1, daily.n - 1)
    shape = (daily.n, daily.skew, daily.kurtosis)
    return (
        psr(sharpe, 0.0, *shape),
        dsr(sharpe, spread, trials, *shape),
        minimum_track_record(sharpe, daily.skew, daily.kurtosis),
    )


def _clusters(closed: Sequence[Trade]) -> dict[str, list[tuple[float, float]]]:
    """(profit, cost) in dollars of each bet, by what settles together."""
    clusters: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for trade in closed:
        clusters[cluster_of(trade)].append((dollars(trade.pnl), dollars(trade.cost)))
    return clusters


def daily_profits(result: Result) -> list[tuple[str, float]]:
    """Dollars by day of settlement or exit, every day of the run included: idle days are days, too."""
    totals: dict[str, Cash] = defaultdict(int)
    for trade in result.trades:
        if trade.closed_ts is not None:
            totals[day(trade.closed_ts)] += trade.pnl
    first, last = date.fromisoformat(day(result.start)), date.fromisoformat(day(result.end))
    days = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
    return [(name, dollars(totals.get(name, 0))) for name in days]
