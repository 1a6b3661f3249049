"""Trades by what they share: series, side, price, edge claimed, hour. Small cells are marked as such."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from backtest.estimators import clustered_bootstrap
from backtest.times import day, moment
from backtest.trades import Trade
from src.core.errors import WireError
from src.core.stations import event_date
from src.core.units import HOUR, dollars

_EDGES = (0.0, 0.04, 0.06, 0.08, 0.12, 0.20)
MINIMUM_BETS, MINIMUM_CLUSTERS = 200, 100


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


def cluster_of(trade: Trade) -> str:
    """What shares its fate: the climate day for daily temperature markets (all cities), else the event."""
    try:
        return event_date(trade.event_ticker)
    except WireError:
        return trade.event_ticker


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


def grouped(closed: Sequence[Trade]) -> dict[str, list[Group]]:
    """Every table of groups, by its title."""
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
