"""What a configuration is allowed to do with money. Real orders need three separate, deliberate acts."""

from __future__ import annotations

from enum import Enum

from src.core.errors import ConfigError
from src.runtime.settings import Settings
from src.runtime.settings_venues import Environment

LIVE_CONFIRMATION = "I accept real orders"


class Mode(Enum):
    """Where orders go."""

    PAPER = "paper"
    SIMULATED = "simulated"
    DEMO = "demo"
    LIVE = "live"


def resolve_mode(settings: Settings, *, live_flag: bool) -> Mode:
    """The mode that configuration and command line ask for together.

    ``PAPER`` while trading is not enabled; otherwise what the exchange's address says: this machine is
    ``SIMULATED``, Kalshi's demo is ``DEMO``, and Kalshi's production is ``LIVE`` only with the ``--live``
    flag and the confirmation as well. Raises ``ConfigError`` naming what is missing or contradictory.
    """
    if not settings.trading.enabled:
        return Mode.PAPER
    environment = settings.exchange.environment
    if environment is Environment.UNKNOWN:
        raise ConfigError(
            f"exchange.base_url: {settings.exchange.base_url} is not an exchange this version knows, so "
            "trading.enabled is refused; use an address of Kalshi's, or set trading.enabled: false"
        )
    if environment is Environment.PRODUCTION:
        missing = _missing_for_live(settings, live_flag=live_flag)
        if missing:
            raise ConfigError("real orders are refused, because of what is missing:\n" + "\n".join(missing))
        return Mode.LIVE
    if live_flag:
        raise ConfigError(
            f"--live was given, but exchange.base_url leads to {environment.value}: remove one of them"
        )
    if environment is Environment.LOOPBACK:
        return Mode.SIMULATED
    missing = _missing_keys(settings)
    if missing:
        raise ConfigError("\n".join(missing))
    return Mode.DEMO


def _missing_for_live(settings: Settings, *, live_flag: bool) -> list[str]:
    missing = [] if live_flag else ["--live: the flag of the run command"]
    if settings.secrets.kalshi_live_confirmation != LIVE_CONFIRMATION:
        missing.append(f'KALSHI_LIVE_CONFIRMATION: must be exactly "{LIVE_CONFIRMATION}" in the environment')
    return missing + _missing_keys(settings)


def _missing_keys(settings: Settings) -> list[str]:
    given = {
        "KALSHI_API_KEY": settings.secrets.kalshi_api_key,
        "KALSHI_API_SECRET": settings.secrets.kalshi_api_secret,
    }
    return [f"{name}: needed to send orders" for name, value in given.items() if value is None]
