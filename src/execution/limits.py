"""The limits the risk gate enforces, in core units. Built from the configuration in ``runtime``."""

from __future__ import annotations

from dataclasses import dataclass

from src.core.units import DOLLAR_CASH, HOUR, MINUTE, SECOND, Cash, Nanos


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """Every limit of the configuration. Cash in 1e-6 dollars, durations in nanoseconds, shares 0..1."""

    max_position: Cash = 500 * DOLLAR_CASH
    max_portfolio_heat: float = 0.20
    min_edge: float = 0.05
    max_daily_loss: Cash = 1_000 * DOLLAR_CASH
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


@dataclass(frozen=True, slots=True)
class ReconcilePolicy:
    """How the venue's records are read. ``grace`` is longer than the venue's read lag."""

    interval: Nanos = 30 * SECOND
    grace: Nanos = 10 * SECOND
    retry_after: Nanos = 2 * SECOND
    overlap: Nanos = 60 * SECOND
    misses_before_absent: int = 2


@dataclass(frozen=True, slots=True)
class ExitPolicy:
    """When positions of a strategy are given up before settlement.

    ``price_stop``: whether the portfolio's stop-loss percentage applies. A position meant to be held to
    settlement uses ``thesis_margin`` instead: leave when the bid, after the fee, pays that many dollars
    more than we think the contract is worth. None switches a rule off.
    """

    price_stop: bool = True
    thesis_margin: float | None = None
