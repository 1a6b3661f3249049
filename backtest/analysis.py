"""From a run's result to the figures of its report: plain values, ready for JSON."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise

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
from backtest.nulls import NullTest, null_tests
from backtest.runner import MARKOUTS, Result
from backtest.times import day, moment
from backtest.trades import Trade
from src.core.errors import WireError
from src.core.stations import event_date
from src.core.units import DAY, HOUR, ONE_CONTRACT, SECOND, Cash, dollars

_EDGES = (0.0, 0.04, 0.06, 0.08, 0.12, 0.20)
MINIMUM_BETS, MINIMUM_CLUSTERS = 200, 100
# Below this an interval is not even shown.
_FEWEST_CLUSTERS = 20


@dataclass(frozen=True, slots=True)
class Group:
    """Trades that share something. Dollars; ``claimed`` and ``realised`` are per contract.

    ``interval`` is of the profit, by clusters; None where bets or clusters are too few for any conclusion.
    """

    name: str
    bets: int
    contracts: float
    pnl: float
    staked: float
    claimed: float
    realised: float
    clusters: int
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Markout:
    """Gain per contract in dollars at the middle some time after a fill; ``seconds`` None: at settlement."""

    seconds: int | None
    gain: float
    contracts: float


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
        lock_up=_lock_up(result),
        time_in_market=_time_in_market(result),
        bets=len(closed),
        open_bets=len(result.trades) - len(closed),
        wins=sum(1 for t in closed if t.pnl > 0),
        profit_factor=gains / losses if losses else None,
        max_drawdown=dollars(result.max_drawdown),
        drawdown_days=_longest_drawdown(result),
        worst_day=ordered[0] if ordered else 0.0,
        expected_shortfall=sum(tail) / len(tail) if tail else 0.0,
        without_best=dollars(result.pnl) - sum(totals[-3:]),
        without_worst=dollars(result.pnl) - sum(totals[:3]),
        days=by_day,
        equity=[(ts, dollars(cash)) for ts, cash in result.curve],
        daily=daily,
        sharpe=stationary_sharpe(returns, seed),
        sharpe_newey_west=newey_west_sharpe(returns),
        psr=None if sharpe is None else psr(sharpe, 0.0, *shape),
        dsr=None if sharpe is None else dsr(sharpe, variance, trials, *shape),
        trials=trials,
        needed_days=None if sharpe is None else minimum_track_record(sharpe, daily.skew, daily.kurtosis),
        bootstrap=clustered_bootstrap(clusters, seed),
        mean_hours_held=_hours(closed),
        groups=_groups(closed),
        stops=_stops(closed),
        calibration=reliability(pairs),
        brier=brier(priced),
        brier_market=brier(offers),
        log_score=log_score(priced),
        log_score_market=log_score(offers),
        signals=len(result.said),
        edge_points=points,
        edge_slope=slope(points),
        nulls=null_tests(closed, seed),
        markouts=_markouts(result, closed),
        random_side=random_side(closed),
        taken=result.taken / ONE_CONTRACT,
        made=result.made / ONE_CONTRACT,
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


def _horizon(trade: Trade) -> str:
    hours = ((trade.closed_ts or trade.opened_ts) - trade.opened_ts) / HOUR
    limit = next((limit for limit in (1, 6, 12, 24, 48) if hours < limit), None)
    return "48 and more" if limit is None else f"under {limit:02d}"


def _price_bucket(trade: Trade) -> str:
    low = min(int(trade.price * 10 + 1e-9), 9) * 10
    return f"{low:02d}-{low + 10}c"


_KEYS: dict[str, Callable[[Trade], str]] = {
    "series": lambda t: t.series_ticker,
    "side": lambda t: t.outcome.value,
    "price paid": _price_bucket,
    "edge claimed": _edge_bucket,
    "hours to the end": _horizon,
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
    clusters: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for trade in trades:
        clusters[cluster_of(trade)].append((dollars(trade.pnl), dollars(trade.cost)))
    interval = None
    if len(trades) >= MINIMUM_BETS and len(clusters) >= MINIMUM_CLUSTERS:
        found = clustered_bootstrap(clusters)
        interval = (found.total.low, found.total.high) if found else None
    return Group(name, len(trades), contracts, pnl, staked, claimed, pnl / contracts, len(clusters), interval)


def _longest_drawdown(result: Result) -> float:
    """Days of the longest stretch below an earlier best value of the account."""
    peak, since, longest = -1, result.start, 0
    for ts, equity in result.curve:
        if equity >= peak:
            peak, since = equity, ts
        longest = max(longest, ts - since)
    return longest / DAY


def _lock_up(result: Result) -> float:
    """Average cost of the open positions over the run, as a share of the opening account."""
    span = max(1, result.end - result.start)
    held = sum(t.cost * ((t.closed_ts or result.end) - t.opened_ts) for t in result.trades)
    return held / span / result.opening_cash


def _time_in_market(result: Result) -> float:
    """Share of the run with a position open."""
    total, until = 0, result.start
    for first, last in sorted((t.opened_ts, t.closed_ts or result.end) for t in result.trades):
        total += max(0, last - max(first, until))
        until = max(until, last)
    return total / max(1, result.end - result.start)


def _markouts(result: Result, closed: Sequence[Trade]) -> list[Markout]:
    found = []
    for delay in MARKOUTS:
        rows = [(gain, count / ONE_CONTRACT) for at, gain, count in result.markouts if at == delay]
        contracts = sum(count for _, count in rows)
        if contracts:
            gain = sum(gain * count for gain, count in rows) / contracts
            found.append(Markout(delay // SECOND, gain, contracts))
    settled = [t for t in closed if t.won is not None and t.bought]
    contracts = sum(t.contracts for t in settled)
    if contracts:
        gain = sum((float(bool(t.won)) - t.price) * t.contracts for t in settled) / contracts
        found.append(Markout(None, gain, contracts))
    return found


def random_side(closed: Sequence[Trade]) -> float | None:
    """Expected profit of a coin's choice of side at the same moments, sizes and half spreads, in dollars.

    The other side costs one minus the middle plus the half spread paid, and the same fee. None without a
    settled bet whose middle is known.
    """
    settled = [t for t in closed if t.won is not None and t.mid is not None and t.bought]
    if not settled:
        return None
    total = 0.0
    for trade in settled:
        mid = trade.mid if trade.mid is not None else trade.price
        half = trade.price - mid
        mine = float(bool(trade.won)) - trade.price
        other = float(not trade.won) - min(1.0, 1.0 - mid + half)
        total += (mine + other) / 2 * trade.contracts - dollars(trade.entry_fees)
    return total


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
