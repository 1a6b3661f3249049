"""The simulated world's weather over a real WebSocket on loopback."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import serve

from src.core.errors import ConfigError, WireError
from src.core.events import DailyMaximum, FeedDown, FeedUp, ForecastUpdate, ObservationUpdate
from src.monitors.simulated_weather import SimulatedWeatherSource, parse_frame
from src.simulator.weather import weather_message

FORECAST = {
    "type": "forecast",
    "series_ticker": "KXHIGHNY",
    "station": "KNYC",
    "target_date": "2026-11-23",
    "source": "nbm",
    "lead_days": 1.0,
    "tmax_f": 50,
    "issued_ts": 1,
    "ts_event": 2,
}
MAXIMUM = {
    "type": "daily_max",
    "series_ticker": "KXHIGHNY",
    "station": "KNYC",
    "date": "2026-11-21",
    "tmax_f": 47,
    "final": True,
    "ts_event": 3,
}
OBSERVATION = {
    "type": "observation",
    "series_ticker": "KXHIGHNY",
    "station": "KNYC",
    "temp_f": 44.6,
    "ts_event": 4,
}


@asynccontextmanager
async def world(frames, close_after: bool):
    """A server that sends ``frames`` to each connection, then closes it or leaves it open."""

    async def handler(socket) -> None:
        for frame in frames:
            await socket.send(frame if isinstance(frame, str) else json.dumps(frame))
        if not close_after:
            await socket.wait_closed()

    async with serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/sim/v1/weather"


async def next_events(stream, count: int):
    async with asyncio.timeout(5):
        return [await anext(stream) for _ in range(count)]


async def test_frames_become_events_in_order_stamped_by_our_clock(clock, sleeper):
    async with world([FORECAST, MAXIMUM, OBSERVATION], close_after=False) as url:
        stream = SimulatedWeatherSource(url, clock, sleep=sleeper, jitter=lambda: 0.0).stream()
        events = await next_events(stream, 4)
        await stream.aclose()
    now = clock.now()
    assert events == [
        FeedUp("weather", now),
        ForecastUpdate("KXHIGHNY", "KNYC", "2026-11-23", "nbm", 1.0, 50.0, 1, 2, now),
        DailyMaximum("KXHIGHNY", "KNYC", "2026-11-21", 47, True, 3, now),
        ObservationUpdate("KXHIGHNY", "KNYC", 44.6, 4, now),
    ]


async def test_a_frame_counts_once_its_event_was_consumed(clock, sleeper):
    """The counter is how a test, or a lock-step clock, knows that everything sent has been handled."""
    async with world([FORECAST, MAXIMUM], close_after=False) as url:
        source = SimulatedWeatherSource(url, clock, sleep=sleeper, jitter=lambda: 0.0)
        stream = source.stream()
        await next_events(stream, 2)
        assert source.frames_handled == 0
        await next_events(stream, 1)
        assert source.frames_handled == 1
        await stream.aclose()


async def test_a_lost_connection_is_told_and_comes_back(clock, sleeper, reading):
    """The history comes again after the reconnection; the wait starts small after good frames."""
    async with world([FORECAST], close_after=True) as url:
        source = SimulatedWeatherSource(url, clock, sleep=sleeper, jitter=lambda: 0.0)
        async with reading(source) as (events, _):
            for _ in range(2):
                async with asyncio.timeout(5):
                    await sleeper.asleep.wait()
                sleeper.wake()
            async with asyncio.timeout(5):
                await sleeper.asleep.wait()
    kinds = [type(event) for event in events[:6]]
    assert kinds == [FeedUp, ForecastUpdate, FeedDown] * 2
    assert sleeper.waits[:2] == [0.25, 0.25]


async def test_waits_grow_to_a_cap_while_nobody_answers(clock, sleeper, reading):
    async with world([], close_after=True) as url:
        pass
    source = SimulatedWeatherSource(url, clock, sleep=sleeper, jitter=lambda: 1.0)
    async with reading(source) as (events, _):
        for _ in range(8):
            async with asyncio.timeout(5):
                await sleeper.asleep.wait()
            sleeper.wake()
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await sleeper.asleep.wait()
    assert sleeper.waits[:8] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert all(isinstance(event, FeedDown) and event.feed == "weather" for event in events)


async def test_a_malformed_frame_takes_the_feed_down_and_names_the_field(clock, sleeper):
    broken = {**FORECAST, "tmax_f": "warm"}
    async with world([broken], close_after=False) as url:
        stream = SimulatedWeatherSource(url, clock, sleep=sleeper, jitter=lambda: 0.0).stream()
        up, down = await next_events(stream, 2)
        await stream.aclose()
    assert isinstance(up, FeedUp)
    assert isinstance(down, FeedDown)
    assert "tmax_f" in down.reason


async def test_an_address_that_is_no_websocket_is_a_configuration_error(clock, sleeper):
    stream = SimulatedWeatherSource("http://127.0.0.1:1/", clock, sleep=sleeper).stream()
    with pytest.raises(ConfigError, match="ws://"):
        await anext(stream)


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        ("[]", "weather frame"),
        ("{", "weather frame"),
        (json.dumps({**FORECAST, "type": "tides"}), "type"),
        (json.dumps({k: v for k, v in FORECAST.items() if k != "type"}), "type"),
        (json.dumps({k: v for k, v in FORECAST.items() if k != "source"}), "source"),
        (json.dumps({**MAXIMUM, "tmax_f": 47.5}), "tmax_f"),
        (json.dumps({**MAXIMUM, "final": 1}), "final"),
    ],
)
def test_a_frame_of_another_shape_is_refused_by_field(frame: str, field: str):
    with pytest.raises(WireError, match=field):
        parse_frame(frame, 5)


def test_our_receipt_time_wins_over_one_in_the_frame():
    assert parse_frame(json.dumps({**MAXIMUM, "ts_recv": 1}), 5).ts_recv == 5


def test_what_the_simulated_exchange_sends_is_what_is_read():
    """Both ends of the wire, without a copy of the format in between."""
    for event in (
        ForecastUpdate("KXHIGHNY", "KNYC", "2026-11-23", "nbm", 1.0, 50.4, 1, 2, 3),
        DailyMaximum("KXHIGHNY", "KNYC", "2026-11-21", 47, True, 2, 3),
        ObservationUpdate("KXHIGHNY", "KNYC", 44.6, 2, 3),
    ):
        assert parse_frame(json.dumps(weather_message(event)), 3) == event
