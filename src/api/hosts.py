"""Which exchange addresses may be used."""

from __future__ import annotations

from urllib.parse import urlsplit

from src.core.errors import ConfigError


def checked_url(url: str, schemes: tuple[str, ...], *, allow_production: bool) -> str:
    """``url`` without a trailing slash.

    Raises ``ConfigError`` for another scheme, a missing host, or a production host (``kalshi.com`` and
    below; the demo lives under ``kalshi.co``) unless ``allow_production``: real money is never reached
    by a default or by a mistyped setting.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower().rstrip(".")
    if parts.scheme not in schemes or not host or parts.query or parts.fragment:
        raise ConfigError(f"exchange address {url!r}: expected {' or '.join(schemes)}://host/path")
    if not allow_production and (host == "kalshi.com" or host.endswith(".kalshi.com")):
        raise ConfigError(
            f"exchange address {url!r} is Kalshi's production exchange, which is not allowed in this mode: "
            "use the demo or simulated exchange, or switch to live trading on purpose"
        )
    return url.rstrip("/")
