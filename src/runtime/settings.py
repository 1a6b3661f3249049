"""The configuration: environment over ``.env`` over the YAML file over defaults, checked as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from src.core.errors import ConfigError
from src.runtime.settings_env import EnvironmentLayer, environment_layer, read_dotenv
from src.runtime.settings_models import (
    AlertsSettings,
    DatabaseSettings,
    ExchangeSettings,
    LoggingSettings,
    MonitoringSettings,
    OperationsSettings,
    RiskSettings,
    Secrets,
    TradingSettings,
)
from src.runtime.settings_problems import describe_problems, leaf_fields
from src.runtime.settings_strategies import NewsMonitoringSettings, StrategiesSettings
from src.runtime.settings_yaml import Key, YamlDocument, read_config_file


class Settings(BaseSettings):
    """Everything a person can decide. Immutable; secrets do not show in its repr."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, strict=True)

    trading: TradingSettings = TradingSettings()
    risk: RiskSettings = RiskSettings()
    strategies: StrategiesSettings = StrategiesSettings()
    exchange: ExchangeSettings = ExchangeSettings()
    news_monitoring: NewsMonitoringSettings = NewsMonitoringSettings()
    alerts: AlertsSettings = AlertsSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    operations: OperationsSettings = OperationsSettings()
    logging: LoggingSettings = LoggingSettings()
    database: DatabaseSettings = DatabaseSettings()
    secrets: Secrets = Secrets()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in: ``load_settings`` reads the layers and knows where a value was given."""
        return (init_settings,)

    @property
    def telegram_on(self) -> bool:
        """Whether alerts go to Telegram; "auto" means when both token and chat are known."""
        if self.alerts.telegram.enabled == "auto":
            return self.secrets.telegram_bot_token is not None and self.secrets.telegram_chat_id is not None
        return self.alerts.telegram.enabled

    @property
    def database_url(self) -> str | None:
        """``postgresql+asyncpg://`` address with its password, or None for the embedded server.

        DB_PASSWORD is inserted when DATABASE_URL has no password of its own; libpq's ``sslmode`` becomes
        asyncpg's ``ssl``. The result is a secret.
        """
        if self.secrets.database_url is None:
            return None
        password = self.secrets.db_password
        return _asyncpg_url(
            self.secrets.database_url.get_secret_value(), password.get_secret_value() if password else None
        )

    def secret_values(self) -> tuple[str, ...]:
        """Every secret text there is, for the log's redaction."""
        given = [value for _, value in self.secrets if isinstance(value, SecretStr)]
        texts = {value.get_secret_value() for value in given}
        url = self.database_url
        password = urlsplit(url).password if url else None
        if password:
            texts |= {password, unquote(password)}
        return tuple(sorted(texts))


KNOWN_KEYS: frozenset[Key] = frozenset(key for key, _ in leaf_fields(Settings) if key[0] != "secrets")


def load_settings(config_path: Path | None, env: Mapping[str, str], dotenv_path: Path | None) -> Settings:
    """Read, merge and check the whole configuration. A ``dotenv_path`` that does not exist is skipped.

    Raises ``ConfigError`` with every problem found, one a line; no secret is ever in it.
    """
    document = YamlDocument() if config_path is None else read_config_file(config_path)
    problems = list(document.problems)
    origins = {key: f"{config_path} line {line}" for key, line in document.lines.items()}
    layers: list[EnvironmentLayer] = []
    if dotenv_path is not None and dotenv_path.exists():
        variables, dotenv_problems = read_dotenv(dotenv_path)
        problems += dotenv_problems
        layers.append(environment_layer(variables, KNOWN_KEYS, str(dotenv_path)))
    layers.append(environment_layer(env, KNOWN_KEYS, "environment"))
    values = document.values
    if "secrets" in values:
        problems.append(
            f"secrets ({origins[('secrets',)]}): keys and passwords belong in the environment or .env"
        )
        del values["secrets"]
    for layer in layers:
        problems += layer.problems
        origins |= layer.origins
        _overlay(values, layer.values)
    secrets, secret_problems = _build_secrets(layers)
    problems += secret_problems
    try:
        settings = Settings(**values, secrets=secrets)  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigError("\n".join(problems + describe_problems(error, Settings, origins))) from None
    # A value that was refused above is not missing as well: one mistake, one line.
    problems += [
        line
        for line in _unfit_combinations(settings)
        if not any(line.partition(":")[0] in known for known in problems)
    ]
    if problems:
        raise ConfigError("\n".join(problems))
    return settings


def _overlay(values: dict[str, object], layer: Mapping[Key, object]) -> None:
    for key, value in layer.items():
        section = values
        for part in key[:-1]:
            below = section.setdefault(part, {})
            if not isinstance(below, dict):
                break  # the file has a plain value where a section belongs: validation will say so
            section = cast("dict[str, object]", below)
        else:
            section[key[-1]] = value


def _build_secrets(layers: Iterable[EnvironmentLayer]) -> tuple[Secrets, list[str]]:
    merged: dict[str, str | int] = {}
    for layer in layers:
        merged |= layer.secrets
    secrets = Secrets.model_validate(merged, strict=False)
    if secrets.database_url is None:
        return secrets, []
    password = secrets.db_password.get_secret_value() if secrets.db_password else None
    try:
        _asyncpg_url(secrets.database_url.get_secret_value(), password)
    except ValueError as error:
        return secrets.model_copy(update={"database_url": None}), [f"DATABASE_URL: {error} (value not shown)"]
    return secrets, []


def _unfit_combinations(settings: Settings) -> list[str]:
    secrets, problems = settings.secrets, []
    if (secrets.kalshi_api_key is None) != (secrets.kalshi_api_secret is None):
        absent = "KALSHI_API_KEY" if secrets.kalshi_api_key is None else "KALSHI_API_SECRET"
        problems.append(f"{absent}: is missing; the key id and its private key are only of use together")
    absent = ", ".join(
        name
        for name, value in (
            ("TELEGRAM_BOT_TOKEN", secrets.telegram_bot_token),
            ("TELEGRAM_CHAT_ID", secrets.telegram_chat_id),
        )
        if value is None
    )
    one_given = absent and "," not in absent
    wanted = settings.alerts.telegram.enabled
    if absent and (wanted is True or (wanted == "auto" and one_given)):
        problems.append(
            f"{absent}: is missing; alerts need token and chat (or alerts.telegram.enabled: false)"
        )
    return problems


def _asyncpg_url(url: str, password: str | None) -> str:
    expected = "must be an address such as postgresql://user@host:5432/name"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(expected) from None
    if port == 0 or parts.scheme not in {"postgres", "postgresql", "postgresql+asyncpg"}:
        raise ValueError(expected)
    if not parts.hostname or not parts.path.strip("/"):
        raise ValueError("must name a host and a database, as postgresql://user@host:5432/name does")
    netloc = parts.netloc
    if parts.password is None and password is not None:
        user, at, server = netloc.rpartition("@")
        if not at or not user:
            raise ValueError("must name the user that DB_PASSWORD belongs to")
        netloc = f"{user.removesuffix(':')}:{quote(password, safe='')}@{server}"
    query = urlencode(
        [("ssl" if name == "sslmode" else name, value) for name, value in parse_qsl(parts.query)]
    )
    return urlunsplit(("postgresql+asyncpg", netloc, parts.path, query, ""))
