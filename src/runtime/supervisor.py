"""Named services in one task group: replaceable ones restart, core ones end the process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from src.core.errors import ConfigError, FatalError

log = structlog.get_logger("supervisor")
ServiceBody = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Service:
    """A long-running task. ``core``: its failure is fatal. ``on_down`` hears of every failure."""

    name: str
    body: ServiceBody
    core: bool = False
    on_down: Callable[[str], None] | None = None


class Supervisor:
    """Runs services until one that is core fails, or until ``stop`` is set."""

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
        max_backoff: float = 30.0,
    ) -> None:
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._max_backoff = max_backoff
        self.restarts: dict[str, int] = {}

    async def run(self, service: Service) -> None:
        """Run one service for ever. Core failures and fatal errors propagate."""
        failures = 0
        while True:
            try:
                await service.body()
                reason = "ended by itself"
                if service.core:
                    raise RuntimeError(f"core service {service.name} ended by itself")
            except (FatalError, ConfigError):
                raise
            except Exception as error:
                if service.core:
                    raise
                reason = f"{type(error).__name__}: {error}"
            failures += 1
            self.restarts[service.name] = self.restarts.get(service.name, 0) + 1
            delay = min(self._max_backoff, 0.5 * 2 ** min(failures, 10)) * self._rng.random()
            log.warning("service_down", service=service.name, reason=reason, restart_in_s=round(delay, 2))
            if service.on_down is not None:
                service.on_down(reason)
            await self._sleep(delay)
