"""Named services in one task group: replaceable ones restart, core ones end the process.

A replaceable service whose failures are outages (the network, the exchange) is restarted for ever. One that
fails by a defect is restarted too, but the third defect within an hour is told: somebody must halt.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from asyncpg import InterfaceError, PostgresError
from sqlalchemy.exc import SQLAlchemyError

from src.core.errors import ConfigError, FatalError, TradingSystemError

log = structlog.get_logger("supervisor")
# What the world outside does to a service; anything else is a defect of ours.
OUTAGES = (TradingSystemError, OSError, TimeoutError, SQLAlchemyError, PostgresError, InterfaceError)
DEFECTS_ALLOWED = 3
DEFECT_WINDOW_S = 3_600.0
ServiceBody = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Service:
    """A long-running task. ``core``: its failure is fatal. ``on_down`` hears of every failure.

    ``on_refused`` hears of a refusal that only a person can mend and returns when the service may be tried
    again; without it such a refusal ends the process.
    """

    name: str
    body: ServiceBody
    core: bool = False
    on_down: Callable[[str], None] | None = None
    on_refused: Callable[[str], Awaitable[None]] | None = None


class Supervisor:
    """Runs services, each in ``run``. ``on_broken``: told of one that keeps failing by defects."""

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
        max_backoff: float = 30.0,
        on_broken: Callable[[str, str], None] | None = None,
    ) -> None:
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._max_backoff = max_backoff
        self._on_broken = on_broken
        self._defects: dict[str, deque[float]] = {}
        self.restarts: dict[str, int] = {}

    async def run(self, service: Service) -> None:
        """Run one service for ever. Core failures and fatal errors propagate."""
        failures = 0
        while True:
            try:
                await service.body()
                reason, is_defect = "ended by itself", True
                if service.core:
                    raise RuntimeError(f"core service {service.name} ended by itself")
            except FatalError as error:
                if service.core or service.on_refused is None:
                    raise
                log.error("service_refused", service=service.name, reason=str(error))
                await service.on_refused(str(error))
                failures = 0
                continue
            except ConfigError:
                raise
            except Exception as error:
                if service.core:
                    raise
                reason, is_defect = f"{type(error).__name__}: {error}", not isinstance(error, OUTAGES)
            if is_defect:
                self._count_defect(service.name, reason)
            failures += 1
            self.restarts[service.name] = self.restarts.get(service.name, 0) + 1
            delay = min(self._max_backoff, 0.5 * 2 ** min(failures, 10)) * self._rng.random()
            log.warning("service_down", service=service.name, reason=reason, restart_in_s=round(delay, 2))
            if service.on_down is not None:
                service.on_down(reason)
            await self._sleep(delay)

    def _count_defect(self, name: str, reason: str) -> None:
        now = asyncio.get_running_loop().time()
        times = self._defects.setdefault(name, deque(maxlen=DEFECTS_ALLOWED))
        times.append(now)
        if len(times) == DEFECTS_ALLOWED and now - times[0] <= DEFECT_WINDOW_S:
            times.clear()
            log.error("service_broken", service=name, reason=reason, failures=DEFECTS_ALLOWED)
            if self._on_broken is not None:
                self._on_broken(name, f"failed {DEFECTS_ALLOWED} times within an hour: {reason}")
