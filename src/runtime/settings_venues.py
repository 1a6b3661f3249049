"""Which exchange an address leads to. Decides whether real money can be reached, so it matches exactly."""

from __future__ import annotations

import ipaddress
from enum import Enum
from urllib.parse import SplitResult, urlsplit

REST_PATH = "/trade-api/v2"
WS_PATH = "/trade-api/ws/v2"


class Environment(Enum):
    """Whose exchange an address leads to."""

    PRODUCTION = "Kalshi production"
    DEMO = "Kalshi demo"
    LOOPBACK = "this machine"
    UNKNOWN = "an unknown host"


# REST host -> (environment, WebSocket host). Source: Kalshi API documentation, "Environments".
_VENUES = {
    "external-api.kalshi.com": (Environment.PRODUCTION, "external-api-ws.kalshi.com"),
    "api.elections.kalshi.com": (Environment.PRODUCTION, "api.elections.kalshi.com"),
    "external-api.demo.kalshi.co": (Environment.DEMO, "external-api-ws.demo.kalshi.co"),
    "demo-api.kalshi.co": (Environment.DEMO, "demo-api.kalshi.co"),
}
_ENVIRONMENTS = {host: environment for host, (environment, _) in _VENUES.items()} | {
    ws_host: environment for environment, ws_host in _VENUES.values()
}
_RETIRED = {"trading-api.kalshi.com", "demo.kalshi.com"}


def classify_url(url: str) -> Environment:
    """The environment of a REST or WebSocket address.

    Raises ``ValueError`` for anything that is not a plain encrypted address of an API; only this
    machine may be spoken to without encryption.
    """
    parts = _split(url)
    host = parts.hostname or ""
    environment = _environment_of(host)
    expected_path = WS_PATH if parts.scheme.startswith("ws") else REST_PATH
    if host in _RETIRED:
        raise ValueError(f"must not be the retired host {host}; use external-api.kalshi.com or the demo's")
    if environment is not Environment.LOOPBACK and parts.scheme not in {"https", "wss"}:
        raise ValueError("must begin with https:// (or wss://) unless it is on this machine")
    if parts.path.rstrip("/") != expected_path:
        raise ValueError(f"must end with {expected_path}")
    if host in _ENVIRONMENTS and parts.port not in {None, 443}:
        raise ValueError(f"must not name a port: {host} is reached on 443")
    return environment


def derived_ws_url(base_url: str) -> str:
    """The WebSocket address that belongs to a REST address. Raises ``ValueError`` when not known."""
    parts = _split(base_url)
    host = parts.hostname or ""
    if host in _VENUES:
        return f"wss://{_VENUES[host][1]}{WS_PATH}"
    if _environment_of(host) is Environment.LOOPBACK:
        return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}{WS_PATH}"
    raise ValueError(f"ws_url must be given too, because {host} is not a host this version knows")


def _environment_of(host: str) -> Environment:
    if host == "localhost":
        return Environment.LOOPBACK
    try:
        if ipaddress.ip_address(host).is_loopback:
            return Environment.LOOPBACK
    except ValueError:
        return _ENVIRONMENTS.get(host, Environment.UNKNOWN)
    return Environment.UNKNOWN


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(
            "must be an address such as https://external-api.demo.kalshi.co" + REST_PATH
        ) from None
    if parts.scheme not in {"https", "http", "wss", "ws"} or not parts.hostname or port == 0:
        raise ValueError("must be an address such as https://external-api.demo.kalshi.co" + REST_PATH)
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    if parts.query or parts.fragment or any(c.isspace() or c == "\\" for c in url):
        raise ValueError("must not hold a query, a fragment, spaces or backslashes")
    return parts
