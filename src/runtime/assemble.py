"""Building the engine and its adapters from the configuration: the one place that knows all rooms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from src.core.errors import ConfigError
from src.core.ports import Strategy
from src.core.units import HOUR, SECOND
from src.database import migrate
from src.database.embedded import EmbeddedPostgres
from src.database.errors import DatabaseUnavailable
from src.database.store import PostgresStore
from src.edge_detection.weather_opinion import NAME as WEATHER_MODEL
from src.execution.engine import Engine
from src.execution.limits import CorrelatedGroup, ExitPolicy, ReconcilePolicy, RiskLimits
from src.runtime.kill_switch import KillSwitch
from src.runtime.settings import Settings
from src.runtime.settings_mode import Mode
from src.runtime.settings_models import usd_to_cash
from src.runtime.settings_venues import Environment
from src.runtime.strategies import STRATEGIES, entry_policy

# The name of the database lock that the one daemon of a ledger holds.
DAEMON_LOCK = "daemon"
# Where this program lives, whatever folder it is started in.
PROJECT = Path(__file__).resolve().parents[2]


def kill_switch_of(settings: Settings, project: Path) -> KillSwitch:
    """The configured kill switch; a relative path begins at the project's folder."""
    operations = settings.operations
    return KillSwitch(project / operations.kill_file, start_halted=operations.start_halted)


def risk_limits(settings: Settings) -> RiskLimits:
    """The configured limits in core units."""
    trading, risk = settings.trading, settings.risk
    return RiskLimits(
        max_position=usd_to_cash(trading.max_position_size_usd),
        max_portfolio_heat=trading.max_portfolio_heat,
        min_edge=trading.min_edge_threshold,
        max_daily_loss=usd_to_cash(trading.max_daily_loss),
        max_open_positions=trading.max_open_positions,
        position_timeout=int(trading.position_timeout_hours * HOUR),
        kelly_fraction=risk.kelly_fraction,
        max_trades_per_hour=risk.max_trades_per_hour,
        max_trades_per_day=risk.max_trades_per_day,
        cooldown_after_loss=int(risk.cooldown_after_loss_seconds * SECOND),
        stop_loss=risk.stop_loss_percentage / 100,
        consecutive_losses=risk.circuit_breaker_consecutive_losses,
        max_slippage=risk.max_slippage_percentage / 100,
        max_event=risk.max_event_share,
        max_city=risk.max_city_share,
        max_region=risk.max_region_share,
        neighbour_km=risk.neighbour_distance_km,
        max_category=risk.max_category_share,
        max_strategy=risk.max_strategy_share,
        groups=tuple(
            CorrelatedGroup(group.name, frozenset(group.series), group.max_share)
            for group in risk.correlated_groups
        ),
        soft_loss=risk.soft_loss_percentage / 100,
        max_loss_24h=risk.max_24h_loss_percentage / 100,
        max_drawdown=risk.max_drawdown_percentage / 100,
        strategies_off=frozenset(risk.strategies_off),
    )


def at_world_speed(limits: RiskLimits, speed: float) -> RiskLimits:
    """Limits on the age of messages are about the wire, which runs in real time: at ``speed`` world seconds
    per real second the same delay looks that many times as long.
    """
    return replace(
        limits,
        max_account_age=int(limits.max_account_age * speed),
        max_feed_lag=int(limits.max_feed_lag * speed),
        max_signal_age=int(limits.max_signal_age * speed),
        longest_expiry=int(limits.longest_expiry * speed),
    )


def policy_at_world_speed(speed: float) -> ReconcilePolicy:
    """How often the exchange's records are read, in world time."""
    policy = ReconcilePolicy()
    return replace(
        policy,
        interval=int(policy.interval * speed),
        grace=int(policy.grace * speed),
        retry_after=int(policy.retry_after * speed),
        overlap=int(policy.overlap * speed),
    )


def build_engine(
    settings: Settings, mode: Mode, policy: ReconcilePolicy, limits: RiskLimits | None = None
) -> Engine:
    """An engine with the configured strategies."""
    strategies: list[Strategy] = []
    exits: dict[str, ExitPolicy] = {}
    entries = {WEATHER_MODEL: entry_policy(settings)}
    for entry in STRATEGIES:
        if entry.is_enabled(settings):
            strategy, leaving = entry.build(settings, mode)
            strategies.append(strategy)
            exits[strategy.name] = leaving
    if not strategies:
        raise ConfigError("no strategy is enabled; set strategies.weather_model.enabled: true")
    return Engine(strategies, limits or risk_limits(settings), policy, exits, entries)


@dataclass(slots=True)
class Database:
    """An open store and, when no DATABASE_URL was given, the embedded server behind it."""

    store: PostgresStore
    embedded: EmbeddedPostgres | None
    described: str

    async def revive(self) -> None:
        """Start the embedded server again if it is gone. Raises ``DatabaseUnavailable`` when that fails."""
        if self.embedded is None:
            return
        try:
            await self.embedded.revive()
        except (ConfigError, OSError) as error:
            raise DatabaseUnavailable(str(error)) from error

    async def close(self) -> None:
        """Close the store, then the server that only we use."""
        await self.store.close()
        if self.embedded is not None:
            await self.embedded.stop()


async def open_database(settings: Settings, schema: str, root: Path, *, reset: bool = False) -> Database:
    """Open the store in ``schema``; without DATABASE_URL start the embedded PostgreSQL first."""
    url, embedded = settings.database_url, None
    if url is None:
        embedded = EmbeddedPostgres(root / settings.database.embedded_dir)
        url = await embedded.start()
    try:
        if reset:
            await migrate.drop(url, schema)
        store = await PostgresStore.open(url, schema)
    except BaseException:
        if embedded is not None:
            await embedded.stop()
        raise
    described = (
        "DATABASE_URL"
        if embedded is None
        # The whole path: from another folder it would be another database.
        else f"embedded PostgreSQL in {(root / settings.database.embedded_dir).resolve()}"
    )
    return Database(store, embedded, f"{described}, schema {schema}")


def ledger_schema(settings: Settings, mode: Mode) -> str:
    """The database schema of a mode's ledger, so that paper and real money never mix.

    A simulated exchange's account is new each time it starts, so its key names the ledger.
    """
    loopback = settings.exchange.environment is Environment.LOOPBACK
    if mode is Mode.SIMULATED or (mode is Mode.PAPER and loopback):
        secret = settings.secrets.kalshi_api_key
        key = secret.get_secret_value().lower() if secret else "nokey"
        return f"{mode.value}_{''.join(c for c in key if c.isalnum())[:24]}"
    return {Mode.PAPER: "paper", Mode.DEMO: "kalshi_demo", Mode.LIVE: "live"}[mode]
