"""The keys of the configuration: their types, limits, defaults and meaning."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from src.core.actions import Severity
from src.core.units import Cash, parse_cash
from src.runtime.settings_base import Section, Usd
from src.runtime.settings_risk import ConcentrationSettings, LossLimitSettings, StrategyName
from src.runtime.settings_venues import Environment, classify_url, derived_ws_url


def usd_to_cash(amount: Decimal) -> Cash:
    """Dollars as the exact integer cash of the core (1e-6 dollars)."""
    return parse_cash(f"{amount:f}", "amount")


class TradingSettings(Section):
    """What the account may do at most."""

    enabled: bool = Field(
        default=False, description="whether orders leave this machine; false is paper trading"
    )
    max_position_size_usd: Usd = Field(
        default=Decimal(500), ge=1, le=1_000_000, description="worst-case loss of one market, dollars"
    )
    max_portfolio_heat: float = Field(
        default=0.20, gt=0, le=1, description="share of the account that may be lost if everything open loses"
    )
    min_edge_threshold: float = Field(
        default=0.05, ge=0, le=0.5, description="least expected profit per contract after fees, dollars"
    )
    max_daily_loss: Usd = Field(
        default=Decimal(1_000),
        ge=1,
        le=1_000_000,
        description="loss of a New York day that halts trading, dollars",
    )
    max_open_positions: int = Field(default=10, ge=1, le=1_000, description="markets held at the same time")
    position_timeout_hours: float = Field(
        default=168, ge=1, le=8_760, description="age at which a position is closed"
    )


class RiskSettings(LossLimitSettings, ConcentrationSettings):
    """How carefully it does it."""

    kelly_fraction: float = Field(default=0.25, gt=0, le=1, description="share of the full Kelly stake")
    max_trades_per_hour: int = Field(default=20, ge=1, le=10_000, description="entries in any 60 minutes")
    max_trades_per_day: int = Field(default=100, ge=1, le=100_000, description="entries in any 24 hours")
    cooldown_after_loss_seconds: float = Field(
        default=300, ge=0, le=86_400, description="pause after a losing exit"
    )
    stop_loss_percentage: float = Field(
        default=30, gt=0, le=100, description="loss of a position that closes it, %"
    )
    circuit_breaker_consecutive_losses: int = Field(
        default=3, ge=1, le=100, description="losses in a row that stop entries until the next trading day"
    )
    max_slippage_percentage: float = Field(
        default=2, ge=0, le=50, description="worst fill against the quote seen, %"
    )
    strategies_off: tuple[StrategyName, ...] = Field(
        default=(),
        max_length=50,
        strict=False,
        description="strategies that may not enter; what they hold is managed as before",
    )

    exit_ladder_cents: tuple[Annotated[int, Field(ge=0, le=50)], ...] = Field(
        default=(1, 2),
        min_length=1,
        max_length=10,
        strict=False,
        description="how far below the best bid each immediate exit order goes, cents",
    )
    exit_reprice_seconds: float = Field(
        default=120, ge=10, le=3_600, description="after which a resting exit is priced anew"
    )
    exit_floor_share: float = Field(
        default=0.5, ge=0, le=1, description="share of our value below which no stop or time-out sells"
    )

    @field_validator("exit_ladder_cents")
    @classmethod
    def _each_rung_lower(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(later <= earlier for earlier, later in pairwise(value)):
            raise ValueError("must rise from each order to the next, such as [1, 2]")
        return value


class ExchangeSettings(Section):
    """Where the exchange is."""

    base_url: str = Field(
        default="https://external-api.demo.kalshi.co/trade-api/v2", description="REST address of the exchange"
    )
    ws_url: str | None = Field(default=None, description="WebSocket address; derived from a known base_url")

    @field_validator("base_url", "ws_url")
    @classmethod
    def _is_an_exchange_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        classify_url(value)
        return value.rstrip("/")

    @model_validator(mode="after")
    def _both_name_one_environment(self) -> ExchangeSettings:
        if self.base_url.startswith("ws"):
            raise ValueError("base_url must begin with https://")
        if self.ws_url is None:
            derived_ws_url(self.base_url)
        elif not self.ws_url.startswith("ws"):
            raise ValueError("ws_url must begin with wss://")
        elif classify_url(self.ws_url) is not self.environment:
            raise ValueError(
                f"base_url is {self.environment.value} but ws_url is {classify_url(self.ws_url).value}: "
                "both must be the same"
            )
        return self

    @property
    def environment(self) -> Environment:
        """Which of the exchange's worlds ``base_url`` leads to."""
        return classify_url(self.base_url)

    @property
    def effective_ws_url(self) -> str:
        """``ws_url``, or the one that belongs to ``base_url``."""
        return self.ws_url if self.ws_url is not None else derived_ws_url(self.base_url)


class TelegramSettings(Section):
    """Messages to a person. Token and chat come from the environment."""

    enabled: Literal["auto"] | bool = Field(
        default="auto", description="auto: on when token and chat id are set"
    )
    min_severity: Severity = Field(
        default=Severity.INFO,
        strict=False,
        description="least severity that is sent: info, warning or critical",
    )


class AlertsSettings(Section):
    """Ways of reaching a person."""

    telegram: TelegramSettings = TelegramSettings()


class MonitoringSettings(Section):
    """The status server: /healthz and /metrics."""

    host: str = Field(default="127.0.0.1", min_length=1, max_length=255, description="address it listens on")
    port: int = Field(default=9108, ge=0, le=65_535, description="port; 0 takes any free one")


class OperationsSettings(Section):
    """How people stop it, and when it speaks up by itself."""

    kill_file: str = Field(
        default="var/HALT",
        min_length=1,
        max_length=4_096,
        description="file whose existence halts; a relative path begins at the project's folder",
    )
    start_halted: bool = Field(
        default=False, description="halt from the start; KATS_HALT=1 in the environment says the same"
    )
    no_entries_alert_hours: float = Field(
        default=24, ge=0, le=720, description="hours without an entry after which it says why; 0 never"
    )
    tie_out: bool = Field(
        default=True, description="compare fills, positions and balance after each New York midnight"
    )
    takeover_seconds: float = Field(
        default=15,
        ge=5,
        le=600,
        description="silence of a running instance after which a standby takes over",
    )

    @field_validator("start_halted", mode="before")
    @classmethod
    def _in_doubt_halted(cls, value: object) -> bool:
        """Whatever is not plainly a no is a yes."""
        return str(value).strip().lower() not in {"", "0", "false", "no", "off", "none"}


class LoggingSettings(Section):
    """What is logged, and how."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        default="INFO", description="least level"
    )
    format: Literal["auto", "json", "console"] = Field(
        default="auto", description="auto: console on a terminal"
    )

    @field_validator("level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value


class DatabaseSettings(Section):
    """The durable store. Its address and password come from the environment."""

    embedded_dir: str = Field(
        default="var/postgres",
        min_length=1,
        description="where the embedded server lives without DATABASE_URL",
    )
    pool_size: int = Field(default=5, ge=2, le=50, description="database connections")
    fallback_dir: str = Field(
        default="var/fallback",
        min_length=1,
        description="where exits and halts are written while the database does not answer",
    )
    start_wait_seconds: float = Field(
        default=120, ge=0, le=3_600, description="how long a start waits for the database"
    )
    outage_limit_seconds: float = Field(
        default=120, ge=1, le=3_600, description="how long the database may be away before the daemon halts"
    )


class Secrets(Section):
    """What comes from the environment only, and is never printed."""

    kalshi_api_key: SecretStr | None = None
    kalshi_api_secret: SecretStr | None = None
    kalshi_live_confirmation: str | None = None
    telegram_bot_token: SecretStr | None = None
    telegram_chat_id: int | None = None
    twitter_bearer_token: SecretStr | None = None
    newsapi_key: SecretStr | None = None
    alphavantage_key: SecretStr | None = None
    db_password: SecretStr | None = None
    database_url: SecretStr | None = None
