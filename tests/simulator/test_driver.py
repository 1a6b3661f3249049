"""The world drives the exchange: in order, each event once, by steps or by running time."""

from __future__ import annotations

import pytest

from src.core.events import ForecastUpdate
from src.core.market import MarketStatus
from src.core.sides import BookSide
from src.core.units import HOUR, MINUTE, SECOND
from src.simulator.driver import WorldDriver
from src.simulator.exchange import Exchange
from src.simulator.weather import WeatherHub, WeatherItem
from src.simulator.world import CrowdQuote, CrowdTake, Determine, WeatherNews

from .conftest import T0, TICKER, ScriptedWorld, listing


def forecast(ts: int) -> ForecastUpdate:
    return ForecastUpdate("KXHIGHNY", "KNYC", "2026-11-23", "nbm", 1.0, 51.5, ts, ts, ts)


def world() -> ScriptedWorld:
    return ScriptedWorld(
        script=[
            listing(),
            CrowdQuote(T0 + MINUTE, TICKER, ((4000, 1000),), ((4500, 1000),)),
            WeatherNews(T0 + 2 * MINUTE, forecast(T0 + 2 * MINUTE)),
            CrowdTake(T0 + 3 * MINUTE, TICKER, BookSide.BID, 4500, 400),
            Determine(T0 + 30 * HOUR, TICKER, "no", 0, "49.00"),
        ],
        past=[forecast(T0 - HOUR)],
    )


def make() -> tuple[WorldDriver, Exchange, WeatherHub]:
    made = world()
    exchange, hub = Exchange(seed=1, start=made.start), WeatherHub(made.history())
    return WorldDriver(exchange, made, hub), exchange, hub


def test_steps_apply_everything_due_in_order_and_each_event_once() -> None:
    driver, exchange, hub = make()
    news: list[WeatherItem] = []
    hub.subscribe(news.append)
    assert driver.peek_ts() == T0
    assert driver.step_until(T0 + MINUTE) == 2
    assert exchange.book(TICKER).best(BookSide.ASK) == 4500
    assert (driver.clock.now(), news) == (T0 + MINUTE, [])
    assert driver.step_until(T0 + 3 * MINUTE) == 2
    assert driver.step_until(T0 + 3 * MINUTE) == 0
    assert [item.ts_event for item in news] == [T0 + 2 * MINUTE]
    assert len(hub.items) == 2
    assert exchange.markets[TICKER].volume == 400


def test_peek_also_sees_the_exchanges_own_timers_until_the_end() -> None:
    driver, exchange, _ = make()
    driver.step_until(T0 + 3 * MINUTE)
    seen = []
    while (due := driver.peek_ts()) is not None:
        seen.append(due - T0)
        driver.step_until(due)
    assert seen == [24 * HOUR, 30 * HOUR, 31 * HOUR, 48 * HOUR]
    assert driver.is_finished
    assert exchange.markets[TICKER].market.status is MarketStatus.FINALIZED


async def test_running_time_sleeps_until_the_next_event_and_ends_with_the_world() -> None:
    driver, exchange, _ = make()
    at, slept = 100.0, []

    async def sleep(seconds: float) -> None:
        nonlocal at
        slept.append(seconds)
        at += seconds + 0.001

    await driver.run(3600.0, lambda: at, sleep)
    assert driver.is_finished
    assert driver.clock.mode == "realtime"
    assert exchange.now == driver.clock.now() == T0 + 48 * HOUR
    assert max(slept) <= 0.25
    assert 48 <= at - 100.0 < 49


async def test_catching_up_brings_the_exchange_to_the_running_clock() -> None:
    driver, exchange, _ = make()
    driver.catch_up()
    assert exchange.markets == {}
    at = 0.0
    driver.clock.run(60.0, lambda: at)
    at = 1.5
    driver.catch_up()
    assert exchange.now == T0 + 90 * SECOND
    with pytest.raises(ValueError, match="cannot be set"):
        driver.clock.set(T0)


def test_speed_must_be_positive() -> None:
    driver, _, _ = make()
    with pytest.raises(ValueError, match="speed"):
        driver.clock.run(0, lambda: 0.0)
