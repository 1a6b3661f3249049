"""Whether each open position could be left now: the proof is made on every tick, and its absence is told.

A path out needs a market that trades, a book the feed vouches for, bids of others, and enough of them: what
is not displayed must be expected to trade within ``max_time_to_exit`` at the pace of the last hour. Where
nothing traded in that hour the pace is unknown, and the displayed bids alone decide.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from src.core.actions import Alert, Noted, Severity
from src.core.events import PublicTrade
from src.core.market import Market
from src.core.units import DAY, HOUR, MINUTE, ONE_CONTRACT, SECOND, Count, Nanos, Price
from src.execution.portfolio import Position

Output: TypeAlias = list[Alert | Noted]
Levels: TypeAlias = Sequence[tuple[Price, Count]]

# Told to a person once a path has been missing this long; believed to be back after as long again.
TELL_AFTER: Nanos = 30 * SECOND
TRUST_AFTER: Nanos = MINUTE
_WINDOW: Nanos = HOUR
_MOST_TRADES = 500
# A closed market pays within hours; a day later its settlement is overdue.
_SETTLEMENT_DUE: Nanos = DAY


@dataclass(frozen=True, slots=True)
class ExitPath:
    """What stands between a position and its exit. ``reason`` is empty when it can be left.

    ``depth``: contracts others bid for; ``seconds``: estimated time to sell everything (None: unknown).
    ``settles``: closed, so that the settlement is its way out.
    """

    reason: str
    depth: Count = 0
    seconds: float | None = None
    settles: bool = False


@dataclass(slots=True)
class _Flag:
    event_ticker: str
    since: Nanos
    reason: str
    told: bool = False
    good_since: Nanos | None = None


def exit_path(
    position: Position,
    market: Market | None,
    bids: Levels | None,
    trading: bool,
    pace: Callable[[str, Nanos], float | None],
    now: Nanos,
    longest: Nanos,
) -> ExitPath:
    """Judge one position. ``bids``: of others, None without a book to trust; ``pace``: contracts/s traded.

    The pace is asked for only where the bids do not take everything.
    """
    if market is None:
        return ExitPath("the market is not described")
    if now >= market.close_time:
        return ExitPath("closed and not settled yet", settles=True)
    if not trading:
        return ExitPath("the exchange is paused")
    if not market.is_open(now):
        return ExitPath(f"the market is {market.status.value}")
    if bids is None:
        return ExitPath("nobody vouches for the book")
    depth, held = sum([size for _, size in bids]), position.size
    if depth < min(held, ONE_CONTRACT):
        return ExitPath("nobody bids", depth)
    hidden = max(0, held - depth)
    if not hidden:
        return ExitPath("", depth, 0.0)
    traded = pace(position.ticker, now)
    if not traded:
        return ExitPath("", depth)
    seconds = hidden / ONE_CONTRACT / traded
    reason = "the bids are too thin" if seconds * SECOND > longest else ""
    return ExitPath(reason, depth, seconds)


class ExitLiveness:
    """Flags of positions without a way out, with the trades their estimates rest on."""

    def __init__(self, longest: Nanos) -> None:
        self._longest = longest
        self._flags: dict[str, _Flag] = {}
        self._trades: dict[str, deque[tuple[Nanos, Count]]] = {}

    def traded(self, trade: PublicTrade) -> None:
        """Somebody traded."""
        trades = self._trades.setdefault(trade.ticker, deque(maxlen=_MOST_TRADES))
        trades.append((trade.ts_recv, trade.count))

    def pace(self, ticker: str, now: Nanos) -> float | None:
        """Contracts a second traded in the last hour; None when nothing did."""
        trades = self._trades.get(ticker)
        while trades and trades[0][0] <= now - _WINDOW:
            trades.popleft()
        if not trades:
            return None
        full = len(trades) == _MOST_TRADES
        span = max(SECOND, now - trades[0][0]) if full else _WINDOW
        return sum(count for _, count in trades) / ONE_CONTRACT / (span / SECOND)

    def blocked_by(self, event_ticker: str) -> str:
        """The market of this event whose position has no way out; empty when there is none."""
        return next((t for t, flag in self._flags.items() if flag.event_ticker == event_ticker), "")

    def look(
        self, position: Position, market: Market | None, bids: Levels | None, trading: bool, now: Nanos
    ) -> Output:
        """Judge a position; say so when its path is lost, when that lasts, and when it is back."""
        ticker = position.ticker
        path = exit_path(position, market, bids, trading, self.pace, now, self._longest)
        flag = self._flags.get(ticker)
        if not path.reason:
            return [] if flag is None else self._good(ticker, flag, path, now)
        out: Output = []
        if flag is None:
            flag = self._flags[ticker] = _Flag(position.event_ticker, now, path.reason)
        if flag.since == now or flag.reason != path.reason:
            flag.reason = path.reason
            data: dict[str, str | int | float] = {
                "ticker": ticker,
                "reason": path.reason,
                "size": position.size,
                "depth": path.depth,
            }
            out.append(Noted("exit_path_lost", data, now))
        flag.good_since = None
        wait = _SETTLEMENT_DUE if path.settles else TELL_AFTER
        start = market.close_time if path.settles and market is not None else flag.since
        if not flag.told and now - start >= wait:
            flag.told = True
            text = f"{ticker}: {position.size / 100:g} contracts cannot be sold: {path.reason}"
            out.append(Alert(Severity.WARNING, f"exit_path:{ticker}", text, now))
        return out

    def closed(self, ticker: str, now: Nanos) -> Output:
        """The position is gone, and with it the question."""
        if self._flags.pop(ticker, None) is None:
            return []
        return [Noted("exit_path_back", {"ticker": ticker, "reason": "the position is closed"}, now)]

    def _good(self, ticker: str, flag: _Flag, path: ExitPath, now: Nanos) -> Output:
        if flag.good_since is None:
            flag.good_since = now
        if now - flag.good_since < TRUST_AFTER:
            return []
        del self._flags[ticker]
        return [Noted("exit_path_back", {"ticker": ticker, "reason": "", "depth": path.depth}, now)]
