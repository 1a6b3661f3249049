"""What can go wrong with the durable store, beyond a mistake in the configuration."""

from __future__ import annotations

from src.core.errors import TradingSystemError


class DuplicateOrder(TradingSystemError):
    """The order's row exists already: it was put before, perhaps by an earlier run. Never send it again."""


class FencedOut(TradingSystemError):
    """Another instance has taken over this database. This one may write nothing and must stop."""


class DatabaseUnavailable(TradingSystemError):
    """The database did not answer in time or the connection broke; a write in flight may have happened."""
