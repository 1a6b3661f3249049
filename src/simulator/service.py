"""The simulator as one thing to start and stop: exchange, world, wire server, and one funded key."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from src.core.units import DOLLAR_CASH, Cash, Nanos
from src.simulator.answers import API, WS_PATH
from src.simulator.driver import WorldDriver
from src.simulator.exchange import Exchange
from src.simulator.faults import FaultPlan
from src.simulator.faults_injector import FaultInjector
from src.simulator.keys import generate_key
from src.simulator.ratelimit import RateLimits
from src.simulator.server import ServerOptions, SimulatorServer
from src.simulator.venue import VenueRules
from src.simulator.weather import WeatherHub
from src.simulator.world import World

DEFAULT_BALANCE: Cash = 1_000 * DOLLAR_CASH


class SimulatorService:
    """A served world.

    ``private_key_path``: where the fresh key is written at ``start``. ``balance``: the account's first
    cash (1e-6 dollars). ``speed``: world seconds per second; None leaves time to ``driver.step_until``
    (lockstep). ``seed`` makes the exchange's ids. ``wall_clock`` (ns) and ``monotonic`` (s) are the
    real clocks. ``faults`` is played; it, or ``admin_token``, also has everything observed (``self.faults``).
    """

    def __init__(
        self,
        world: World,
        private_key_path: Path,
        *,
        balance: Cash = DEFAULT_BALANCE,
        speed: float | None = None,
        seed: int = 0,
        key_id: str = "simulator-key",
        key_type: str = "rsa",
        limits: RateLimits | None = None,
        rules: VenueRules | None = None,
        wall_clock: Callable[[], Nanos] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
        faults: FaultPlan | None = None,
        admin_token: str | None = None,
    ) -> None:
        self.key_id = key_id
        self.private_key_path = private_key_path
        self.exchange = Exchange(seed=seed, start=world.start, rules=rules)
        self.exchange.add_account(key_id, balance)
        self.weather = WeatherHub(world.history())
        self.driver = WorldDriver(self.exchange, world, self.weather)
        self.faults: FaultInjector | None = None
        if faults is not None or admin_token is not None:
            self.faults = FaultInjector(
                faults or FaultPlan(),
                self.exchange,
                now=self.driver.clock.now,
                wall_clock=wall_clock,
                monotonic=monotonic,
                admin_token=admin_token,
            )
        options = ServerOptions(wall_clock, monotonic, limits or RateLimits(), faults=self.faults)
        self.server = SimulatorServer(self.exchange, world, self.weather, self.driver, options)
        self._key_type = key_type
        self._speed = speed
        self._monotonic = monotonic
        self._running: asyncio.Task[None] | None = None

    @property
    def base_url(self) -> str:
        """``http://host:port``; the simulator's own endpoints are under ``/sim/v1``."""
        return f"http://{self.server.host}:{self.server.port}"

    @property
    def rest_url(self) -> str:
        """Base of the REST API."""
        return f"{self.base_url}{API}"

    @property
    def ws_url(self) -> str:
        """The trading WebSocket."""
        return f"ws://{self.server.host}:{self.server.port}{WS_PATH}"

    @property
    def weather_url(self) -> str:
        """The weather WebSocket."""
        return f"ws://{self.server.host}:{self.server.port}/sim/v1/weather"

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Write a fresh private key, listen, and, with a speed, let the world run. Raises ``OSError``."""
        key = await asyncio.to_thread(generate_key, self.key_id, self.private_key_path, self._key_type)
        self.server.add_key(key)
        self.driver.step_until(self.exchange.now)
        await self.server.start(host, port)
        if self._speed is not None:
            running = self.driver.run(self._speed, self._monotonic, asyncio.sleep)
            self._running = asyncio.create_task(running)

    async def wait_until_finished(self) -> None:
        """Wait for a running world to end. Raises what went wrong in it."""
        if self._running is not None:
            await asyncio.shield(self._running)

    async def stop(self) -> None:
        """Stop the world and the server. Raises what went wrong in the world, if anything did."""
        if self._running is not None:
            self._running.cancel()
        try:
            if self._running is not None:
                with contextlib.suppress(asyncio.CancelledError):
                    await self._running
        finally:
            await self.server.stop()
