"""Endpoints of the simulator's own, beside Kalshi's: the world's clock, facts and weather.

* ``GET /sim/v1/clock`` -> ``{"now_ns": int, "speed": float, "mode": "realtime" | "lockstep"}``
* ``GET /sim/v1/world`` -> ``{"kind", "start_ns", "end_ns", "days"}`` and ``"seed"`` where it has one
* WebSocket ``/sim/v1/weather``: all weather known so far, then news as it becomes public, each a frame
  ``{"type": "forecast" | "daily_max" | "observation", ...}`` with the fields of the dataclasses in
  ``src.core.events`` except ``ts_recv``.

None of them needs a key.
"""

from __future__ import annotations

import asyncio

from aiohttp import WSCloseCode, web

from src.simulator.answers import json_answer
from src.simulator.clock import WorldClock
from src.simulator.weather import WeatherHub, WeatherItem, weather_message
from src.simulator.world import World
from src.simulator.ws import BUFFERED_FRAMES
from src.simulator.ws_connection import Outbox


class SimulatorApi:
    """Handlers of the simulator's own endpoints."""

    def __init__(self, world: World, clock: WorldClock, weather: WeatherHub) -> None:
        self.outboxes: list[Outbox] = []
        self._world = world
        self._clock = clock
        self._weather = weather
        self._frames_of_gone = 0

    @property
    def frames_sent(self) -> int:
        """Weather frames handed to all connections so far."""
        return self._frames_of_gone + sum(each.frames_sent for each in self.outboxes)

    def routes(self) -> list[web.RouteDef]:
        """The routes of this part of the API."""
        return [
            web.get("/sim/v1/clock", self._clock_now),
            web.get("/sim/v1/world", self._world_facts),
            web.get("/sim/v1/weather", self._weather_socket),
        ]

    async def close(self) -> None:
        """Close every weather connection."""
        for outbox in list(self.outboxes):
            await outbox.socket.close(code=WSCloseCode.GOING_AWAY)

    async def _clock_now(self, request: web.Request) -> web.Response:
        clock = self._clock
        return json_answer({"now_ns": clock.now(), "speed": clock.speed, "mode": clock.mode})

    async def _world_facts(self, request: web.Request) -> web.Response:
        world = self._world
        facts: dict[str, object] = {
            "kind": world.kind,
            "start_ns": world.start,
            "end_ns": world.end,
            "days": world.days,
        }
        seed = getattr(world, "seed", None)
        if seed is not None:
            facts["seed"] = seed
        return json_answer(facts)

    async def _weather_socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        outbox = Outbox(socket, BUFFERED_FRAMES)
        self.outboxes.append(outbox)

        def send(item: WeatherItem) -> None:
            outbox.put(weather_message(item))

        for item in self._weather.items:
            send(item)
        self._weather.subscribe(send)
        writer = asyncio.create_task(outbox.write())
        try:
            async for _ in socket:
                pass
        finally:
            self._weather.unsubscribe(send)
            self.outboxes.remove(outbox)
            self._frames_of_gone += outbox.frames_sent
            writer.cancel()
            # Writing fails when the client is gone, which is why we are here.
            await asyncio.gather(writer, return_exceptions=True)
        return socket
