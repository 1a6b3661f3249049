"""The limits the risk gate enforces, in core units. Built from the configuration in ``runtime``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from src.core.units import CENT_PRICE, DOLLAR_CASH, HOUR, MINUTE, SECOND, Cash, Nanos, Price


@dataclass(frozen=True, slots=True)
class CorrelatedGroup:
    """Series that win and lose together: what all of them may lose, as a share of the account."""

    name: str
    series: frozenset[str]
    max_share: float


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """Every limit of the configuration. Cash in 1e-6 dollars, durations in nanoseconds, shares 0..1.

    ``max_event`` to ``max_strategy`` and ``groups`` are shares of the account that everything held and
    ordered there may lose. ``max_region``: cities within ``neighbour_km`` of each other, same climate day.
    ``soft_loss``: share of the hard daily and 24-hour levels at which entries stop until the next trading
    day, and of the drawdown at which stakes are halved. ``max_loss_24h``: fall from the highest equity of
    the last 24 hours, ``max_drawdown``: from the highest ever; both as shares of that height.
    ``needs_clock_offset`` and ``needs_exchange_status``: these are read in this mode, so that not knowing
    them refuses.
    """

    max_position: Cash = 500 * DOLLAR_CASH
    max_portfolio_heat: float = 0.20
    max_event: float = 0.10
    max_city: float = 0.15
    max_region: float = 0.15
    neighbour_km: float = 400.0
    max_category: float = 0.20
    max_strategy: float = 0.20
    groups: tuple[CorrelatedGroup, ...] = ()
    min_edge: float = 0.05
    max_daily_loss: Cash = 1_000 * DOLLAR_CASH
    soft_loss: float = 0.60
    max_loss_24h: float = 0.15
    max_drawdown: float = 0.25
    max_open_positions: int = 10
    position_timeout: Nanos = 168 * HOUR
    kelly_fraction: float = 0.25
    max_trades_per_hour: int = 20
    max_trades_per_day: int = 100
    cooldown_after_loss: Nanos = 5 * MINUTE
    stop_loss: float = 0.30
    consecutive_losses: int = 3
    max_slippage: float = 0.02
    depth_share: float = 0.25
    max_signal_age: Nanos = 60 * SECOND
    max_feed_lag: Nanos = 5 * SECOND
    max_account_age: Nanos = 5 * MINUTE
    max_clock_offset: Nanos = 2 * SECOND
    halt_clock_offset: Nanos = 15 * SECOND
    min_time_to_close: Nanos = 2 * MINUTE
    min_time_to_pause: Nanos = 1 * MINUTE
    strategies_off: frozenset[str] = frozenset()
    needs_clock_offset: bool = False
    needs_exchange_status: bool = False
    max_time_to_exit: Nanos = 6 * HOUR
    longest_expiry: Nanos = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class ReconcilePolicy:
    """How the venue's records are read. ``grace`` is longer than the venue's read lag.

    ``retry_after``, the wait after a report that left questions open, is no shorter than two clocks may be
    apart: a report of that much later by the venue's clock is later than one received by ours.
    """

    interval: Nanos = 30 * SECOND
    grace: Nanos = 10 * SECOND
    retry_after: Nanos = 2 * SECOND
    overlap: Nanos = 60 * SECOND
    misses_before_absent: int = 2


class ExecutionStyle(Enum):
    """How a strategy trades: take what is offered now, or rest an order of its own and wait."""

    TAKER = "taker"
    MAKER = "maker"


@dataclass(frozen=True, slots=True)
class EntryPolicy:
    """How entries of a strategy are made. A resting one is cancelled after ``time_to_live`` at the latest."""

    style: ExecutionStyle = ExecutionStyle.TAKER
    time_to_live: Nanos = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class ExitLadder:
    """How far an exit follows the market: immediate orders ``concessions`` below the best bid, one after the
    other, then a resting offer at the middle that is priced anew every ``reprice_after``, and again.

    It never sells below ``floor_share`` of what we think the contract is worth (where we think something).
    """

    concessions: tuple[Price, ...] = (CENT_PRICE, 2 * CENT_PRICE)
    reprice_after: Nanos = 2 * MINUTE
    floor_share: float = 0.5


@dataclass(frozen=True, slots=True)
class ExitPolicy:
    """When positions of a strategy are given up before settlement. None switches a rule off.

    ``price_stop``: whether the portfolio's stop-loss percentage applies. A position meant to be held to
    settlement uses ``thesis_margin`` instead: leave when the bid, after the fee, pays that many dollars
    more than we think the contract is worth. ``profit_target``: leave when the sale brings this share more
    than the position cost; with style ``MAKER`` an offer rests there all the time.
    """

    price_stop: bool = True
    thesis_margin: float | None = None
    profit_target: float | None = None
    style: ExecutionStyle = ExecutionStyle.TAKER
    ladder: ExitLadder = ExitLadder()

    @property
    def looks_at_price(self) -> bool:
        """Whether some price is a reason to leave at once; else positions are held to settlement."""
        takes_profit = self.profit_target is not None and self.style is not ExecutionStyle.MAKER
        return self.price_stop or self.thesis_margin is not None or takes_profit
