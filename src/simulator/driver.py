"""Driving an exchange by a world: step by step (lockstep), or as real time passes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from src.core.units import SECOND, Nanos
from src.simulator.clock import WorldClock
from src.simulator.exchange import Exchange
from src.simulator.weather import WeatherHub
from src.simulator.world import WeatherNews, World

_LONGEST_SLEEP = 0.25


class WorldDriver:
    """Applies a world's events to the exchange and publishes its weather, in order, each once."""

    def __init__(self, exchange: Exchange, world: World, weather: WeatherHub) -> None:
        self.clock = WorldClock(world.start, world.end)
        self._exchange = exchange
        self._world = world
        self._weather = weather
        self._events = world.events()
        self._next = next(self._events, None)

    @property
    def is_finished(self) -> bool:
        """Whether the world has ended and everything in it has happened."""
        return self._next is None and self._exchange.now >= self._world.end

    def peek_ts(self) -> Nanos | None:
        """When the next thing happens, by the world or by the exchange's clock; None after the end."""
        due = [
            ts
            for ts in (self._next.ts if self._next else None, self._exchange.next_timer())
            if ts is not None
        ]
        if due:
            return min(due)
        return None if self.is_finished else self._world.end

    def step_until(self, ts: Nanos) -> int:
        """Let everything up to and including ``ts`` happen; returns the number of world events."""
        applied = 0
        while self._next is not None and self._next.ts <= ts:
            event, self._next = self._next, next(self._events, None)
            self._exchange.apply(event)
            if isinstance(event, WeatherNews):
                self._weather.publish(event.item)
            applied += 1
        self._exchange.advance(ts)
        if self.clock.mode == "lockstep":
            self.clock.set(ts)
        return applied

    def catch_up(self) -> None:
        """Let the exchange reach the present of a running clock; in lockstep nothing happens."""
        if self.clock.mode == "realtime":
            self.step_until(self.clock.now())

    async def run(
        self, speed: float, monotonic: Callable[[], float], sleep: Callable[[float], Awaitable[object]]
    ) -> None:
        """Run at ``speed`` world seconds per second until the world has ended."""
        self.clock.run(speed, monotonic)
        while True:
            self.catch_up()
            due = self.peek_ts()
            if self.is_finished or due is None:
                return
            wait = max(due - self.clock.now(), 0) / SECOND / speed
            await sleep(min(wait, _LONGEST_SLEEP))
