"""The exchange as the daemon finds it: reached once at start, so that mistakes show before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from src.api.aiohttp_transport import AiohttpTransport
from src.api.client import KalshiClient
from src.api.signing import Signer, load_private_key
from src.core.errors import ConfigError, FatalError, VenueError
from src.core.ports import Clock
from src.runtime.clocks import AcceleratedClock, SystemClock
from src.runtime.key_scopes import check_scopes
from src.runtime.settings import Settings
from src.runtime.settings_mode import Mode
from src.runtime.settings_venues import Environment

_SIMULATED_BALANCE_READS = 100.0


@dataclass(frozen=True, slots=True)
class Venue:
    """The exchange as reached at start: its clock and what it calls itself."""

    client: KalshiClient
    signer: Signer | None
    clock: Clock
    simulated: bool
    speed: float


async def reach(settings: Settings, mode: Mode) -> Venue:
    """Ask the exchange for its status and our account once, so that mistakes show before anything runs."""
    key, secret = settings.secrets.kalshi_api_key, settings.secrets.kalshi_api_secret
    # One clock for decisions and signatures: its distance from the exchange's is what gets measured.
    machine = SystemClock()
    signer = (
        Signer(key.get_secret_value(), load_private_key(secret.get_secret_value()), machine.now_ms)
        if key and secret
        else None
    )
    if signer is None and mode is not Mode.PAPER:
        raise ConfigError("KALSHI_API_KEY and KALSHI_API_SECRET are needed to send orders")
    base_url = settings.exchange.base_url
    client = KalshiClient(
        base_url,
        signer,
        allow_production=mode in {Mode.LIVE, Mode.PAPER},
        transport=AiohttpTransport(),
    )
    try:
        await client.exchange_status()
        if signer is not None:
            await client.limits()
            await client.endpoint_costs()
            await client.balance()
            await check_scopes(client, signer.key_id, mode, machine.now_ms() // 1_000)
        clock = await world_clock(settings)
    except FatalError as error:
        await client.aclose()
        raise ConfigError(str(error)) from error
    except VenueError as error:
        await client.aclose()
        raise ConfigError(
            f"exchange.base_url: {base_url} cannot be used ({error}); check the address and the network"
        ) from error
    except BaseException:
        await client.aclose()
        raise
    if clock is None:
        return Venue(client, signer, machine, simulated=False, speed=1.0)
    # A simulated exchange sets its own, wider limits; Kalshi serves the balance once a second.
    client.budget.balance.resize(_SIMULATED_BALANCE_READS, _SIMULATED_BALANCE_READS)
    return Venue(client, signer, clock, simulated=True, speed=max(1.0, clock.speed))


async def world_clock(settings: Settings) -> AcceleratedClock | None:
    """The clock of a simulated exchange, or None when the exchange is a real one."""
    if settings.exchange.environment is not Environment.LOOPBACK:
        return None
    async with httpx.AsyncClient(timeout=5.0, trust_env=False) as http:
        answer = await http.get(f"{origin(settings.exchange.base_url)}/sim/v1/clock")
    if answer.status_code != httpx.codes.OK:
        return None
    body = answer.json()
    return AcceleratedClock(int(body["now_ns"]), float(body["speed"]))


def origin(url: str) -> str:
    """``http://host:port`` of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
