"""Forecasts and daily maxima of the simulated exchange's world, over its own WebSocket path."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidURI, WebSocketException

from src.core.errors import ConfigError, WireError
from src.core.events import DailyMaximum, Event, FeedDown, FeedUp, ForecastUpdate, ObservationUpdate
from src.core.ports import Clock
from src.monitors.backoff import backoff_seconds

FEED = "weather"
_MESSAGES: dict[str, type[ForecastUpdate] | type[DailyMaximum] | type[ObservationUpdate]] = {
    "forecast": ForecastUpdate,
    "daily_max": DailyMaximum,
    "observation": ObservationUpdate,
}
_BASE_SECONDS = 0.5
_CAP_SECONDS = 30.0


class SimulatedWeatherSource:
    """``WeatherSource`` that reads ``/sim/v1/weather``: what was public before, then what becomes public.

    After a reconnection the history comes again; its readers are idempotent. ``frames_handled`` counts
    the frames whose event has been consumed, i.e. its reader has come back for the next one.

    Raises ``ConfigError`` from ``stream`` when ``ws_url`` is not a WebSocket address.
    """

    def __init__(
        self,
        ws_url: str,
        clock: Clock,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._url = ws_url
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self.frames_handled = 0

    async def stream(self) -> AsyncIterator[Event]:
        """Yield events until cancelled; the loss and return of the connection are events too."""
        failures = 0
        while True:
            reason = "the exchange closed the connection"
            try:
                # The simulated exchange is local by design: a proxy from the environment would hide it.
                async with connect(self._url, proxy=None) as socket:
                    yield FeedUp(FEED, self._clock.now())
                    async for frame in socket:
                        yield parse_frame(frame, self._clock.now())
                        self.frames_handled += 1
                        failures = 0
            except InvalidURI as error:
                raise ConfigError(f"weather address {self._url!r} is not a ws:// or wss:// URL") from error
            except (OSError, WebSocketException, WireError) as error:
                reason = f"{type(error).__name__}: {error}"
            yield FeedDown(FEED, reason, self._clock.now())
            failures += 1
            await self._sleep(backoff_seconds(failures, self._jitter(), _BASE_SECONDS, _CAP_SECONDS))


def parse_frame(frame: str | bytes, ts_recv: int) -> ForecastUpdate | DailyMaximum | ObservationUpdate:
    """One JSON text frame -> its event. Raises ``WireError`` naming the field that is wrong."""
    try:
        body = msgspec.json.decode(frame, type=dict[str, str | int | float | bool])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise WireError("weather frame", frame, "a flat JSON object") from error
    kind = body.get("type")
    message = _MESSAGES.get(kind) if isinstance(kind, str) else None
    if message is None:
        raise WireError("weather frame: type", kind, "one of " + ", ".join(_MESSAGES))
    try:
        return msgspec.convert({**body, "ts_recv": ts_recv}, type=message)
    except msgspec.ValidationError as error:
        raise WireError(f"weather frame: {kind}", body, f"its fields ({error})") from error
