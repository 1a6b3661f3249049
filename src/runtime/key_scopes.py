"""Whether the API key may trade, asked at start: an order is no way to find out that it may only read."""

from __future__ import annotations

import structlog

from src.api.client import KalshiClient
from src.api.key_check import check_key
from src.core.errors import ConfigError, VenueError, WireError
from src.runtime.settings_mode import Mode

log = structlog.get_logger("key")


async def check_scopes(client: KalshiClient, key_id: str, mode: Mode, now_s: int) -> None:
    """Raise ``ConfigError`` when orders are to be sent with a key that may not; warn of what it could do.

    A key that may not list keys says nothing about its scopes: that is warned of, and no reason to stop.
    """
    try:
        found = check_key(await client.api_keys(), key_id, now_s)
    except (VenueError, WireError) as error:
        log.warning("api_key_scopes_unknown", reason=str(error))
        return
    if found.missing and mode is not Mode.PAPER:
        raise ConfigError("; ".join(found.missing))
    if mode is not Mode.SIMULATED:
        for notice in (*found.missing, *found.excess, *found.restricted):
            log.warning("api_key", notice=notice)
