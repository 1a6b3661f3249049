"""How an account was exposed over a run, and what its fills were worth later."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from backtest.plan import Result
from backtest.runner import MARKOUTS
from backtest.trades import Trade
from src.core.units import DAY, HOUR, ONE_CONTRACT, SECOND, dollars


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


def mean_hours_held(closed: Sequence[Trade]) -> float:
    """Average hours between the first fill and the end of a position."""
    spans = [(t.closed_ts - t.opened_ts) / HOUR for t in closed if t.closed_ts is not None]
    return sum(spans) / len(spans) if spans else 0.0


def longest_drawdown(result: Result) -> float:
    """Days of the longest stretch below an earlier best value of the account."""
    peak, since, longest = -1, result.start, 0
    for ts, equity in result.curve:
        if equity >= peak:
            peak, since = equity, ts
        longest = max(longest, ts - since)
    return longest / DAY


def lock_up(result: Result) -> float:
    """Average cost of the open positions over the run, as a share of the opening account."""
    span = max(1, result.end - result.start)
    held = sum(t.cost * ((t.closed_ts or result.end) - t.opened_ts) for t in result.trades)
    return held / span / result.opening_cash


def time_in_market(result: Result) -> float:
    """Share of the run with a position open."""
    total, until = 0, result.start
    for first, last in sorted((t.opened_ts, t.closed_ts or result.end) for t in result.trades):
        total += max(0, last - max(first, until))
        until = max(until, last)
    return total / max(1, result.end - result.start)


def markouts_of(result: Result, closed: Sequence[Trade]) -> list[Markout]:
    """Markouts after each delay, and at settlement."""
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


def early_sales(closed: Sequence[Trade]) -> list[Stops]:
    """Positions sold before settlement, by reason."""
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
