"""What can go wrong with the durable store, beyond a mistake in the configuration."""

from __future__ import annotations

from src.core.errors import ConfigError, StoreUnavailableError, TradingSystemError


class DuplicateOrder(TradingSystemError):
    """The order's row exists already: it was put before, perhaps by an earlier run. Never send it again."""


class FencedOut(TradingSystemError):
    """Another instance has taken over this database. This one may write nothing and must stop."""


class DatabaseUnavailable(StoreUnavailableError):
    """The database did not answer in time or the connection broke; a write in flight may have happened."""


class DatabaseUnreachable(ConfigError):
    """Nobody answers at DATABASE_URL, or the server is still starting: waiting may help."""


class FallbackDamaged(ConfigError):
    """The local fallback journal holds something it did not write: a person must look at it."""
