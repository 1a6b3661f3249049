"""The NWS source against recorded and hand-written bodies, over a stubbed HTTP transport."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
import respx

from src.core.errors import ConfigError, WireError
from src.core.events import DailyMaximum, FeedDown, FeedUp, ForecastUpdate
from src.core.stations import climate_day_bounds, station_for_series
from src.core.units import DAY, HOUR, SECOND
from src.monitors.noaa import NwsForecastSource
from src.monitors.nws_wire import GridBody, PointBody, decode, grid_maxima, instant, period

BASE = "http://weather.test"
NYC = station_for_series("KXHIGHNY")
POINT = {"properties": {"gridId": "OKX", "gridX": 34, "gridY": 45}}
CLI = """
CLINYC

...THE CENTRAL PARK NY CLIMATE SUMMARY FOR NOVEMBER 21 2026...

TEMPERATURE (F)
  MAXIMUM         {tmax}    212 PM

"""


def grid(update="2026-11-22T14:03:41+00:00", value=10.0, uom="wmoUnit:degC"):
    """Tomorrow's period is 12Z + 13 h; today's is already cut to the hours left."""
    return {
        "properties": {
            "updateTime": update,
            "maxTemperature": {
                "uom": uom,
                "values": [
                    {"validTime": "2026-11-22T15:00:00+00:00/PT10H", "value": 7.0},
                    {"validTime": "2026-11-23T12:00:00+00:00/PT13H", "value": value},
                    {"validTime": "2026-11-24T12:00:00+00:00/PT13H", "value": None},
                    {"validTime": "2026-11-30T12:00:00+00:00/P1DT1H", "value": 1.0},
                ],
            },
        }
    }


@pytest.fixture
def service():
    """A healthy service with one climate report; its routes can be changed by name."""
    with respx.mock(base_url=BASE, assert_all_called=False) as router:
        router.get(f"/points/{NYC.lat},{NYC.lon}", name="points").respond(json=POINT)
        router.get("/gridpoints/OKX/34,45", name="grid").respond(
            json=grid(), headers={"ETag": '"a1"', "Last-Modified": "Sun, 22 Nov 2026 14:03:41 GMT"}
        )
        router.get("/products/types/CLI/locations/NYC", name="list").respond(
            json={"@graph": [{"id": "p1", "issuanceTime": "2026-11-22T06:20:00+00:00"}]}
        )
        router.get("/products/p1", name="product").respond(json=product(47))
        yield router


def product(tmax):
    return {"issuanceTime": "2026-11-22T06:20:00+00:00", "productText": CLI.format(tmax=tmax)}


def source(clock, sleeper):
    return NwsForecastSource(
        [NYC], clock, "ops@example.com", base_url=BASE, sleep=sleeper, jitter=lambda: 0.0
    )


async def rounds(sleeper, count: int) -> None:
    """Let ``count`` rounds of polling end."""
    for number in range(count):
        async with asyncio.timeout(5):
            await sleeper.asleep.wait()
        if number + 1 < count:
            sleeper.wake()


async def test_a_first_round_gives_the_report_the_forecast_and_the_feed(service, clock, sleeper, reading):
    async with reading(source(clock, sleeper)) as (events, _):
        await rounds(sleeper, 1)
    issued = instant("2026-11-22T14:03:41+00:00", "t")
    day_start = climate_day_bounds("2026-11-23", NYC)[0]
    assert events == [
        DailyMaximum(
            "KXHIGHNY", "KNYC", "2026-11-21", 47, True, instant("2026-11-22T06:20:00+00:00", "t"), clock.now()
        ),
        ForecastUpdate(
            "KXHIGHNY",
            "KNYC",
            "2026-11-23",
            "nws",
            (day_start + 12 * HOUR - issued) / DAY,
            50.0,
            issued,
            clock.now(),
            clock.now(),
        ),
        FeedUp("weather:nws", clock.now()),
    ]
    assert sleeper.waits == [600.0]
    agent = service["grid"].calls.last.request.headers["User-Agent"]
    assert "ops@example.com" in agent


async def test_an_unchanged_issue_emits_nothing(service, clock, sleeper, reading):
    """The second round asks with validators; 304, and 200 with the same issue, are both no news."""
    async with reading(source(clock, sleeper)) as (events, _):
        await rounds(sleeper, 1)
        seen = len(events)
        service["grid"].mock(side_effect=[httpx.Response(304), httpx.Response(200, json=grid(value=30.0))])
        sleeper.wake()
        await rounds(sleeper, 2)
    assert len(events) == seen
    conditional = service["grid"].calls[1].request.headers
    assert conditional["If-None-Match"] == '"a1"'
    assert conditional["If-Modified-Since"] == "Sun, 22 Nov 2026 14:03:41 GMT"
    assert service["points"].call_count == 1
    assert service["product"].call_count == 1


async def test_an_older_issue_from_a_lagging_cache_is_not_news(service, clock, sleeper, reading):
    async with reading(source(clock, sleeper)) as (events, _):
        await rounds(sleeper, 1)
        seen = len(events)
        service["grid"].respond(json=grid(update="2026-11-22T08:00:00+00:00", value=30.0))
        sleeper.wake()
        await rounds(sleeper, 1)
    assert len(events) == seen


async def test_a_new_issue_is_a_new_forecast(service, clock, sleeper, reading):
    async with reading(source(clock, sleeper)) as (events, _):
        await rounds(sleeper, 1)
        service["grid"].respond(json=grid(update="2026-11-22T16:00:00+00:00", value=15.0))
        sleeper.wake()
        await rounds(sleeper, 1)
    assert isinstance(events[-1], ForecastUpdate)
    assert events[-1].tmax_f == 59.0


async def test_failure_is_told_once_retried_sooner_and_mended(service, clock, sleeper, reading):
    service["grid"].respond(503)
    async with reading(source(clock, sleeper)) as (events, _):
        await rounds(sleeper, 3)
        downs = [event for event in events if isinstance(event, FeedDown)]
        assert len(downs) == 1
        assert "KNYC" in downs[0].reason
        assert "503" in downs[0].reason
        assert sleeper.waits == [15.0, 30.0, 60.0]
        service["grid"].respond(json=grid())
        sleeper.wake()
        await rounds(sleeper, 1)
    assert [type(event) for event in events[-2:]] == [ForecastUpdate, FeedUp]
    assert sleeper.waits[-1] == 600.0


async def test_no_answer_takes_the_feed_down_and_keeps_the_stream_alive(service, clock, sleeper, reading):
    service["list"].mock(side_effect=httpx.ConnectTimeout("slow"))
    async with reading(source(clock, sleeper)) as (events, task):
        await rounds(sleeper, 2)
        assert not task.done()
    assert [type(event) for event in events] == [ForecastUpdate, FeedDown]
    assert "ConnectTimeout" in events[-1].reason


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"<html>maintenance</html>", "gridpoints"),
        (json.dumps({"properties": {"updateTime": "2026-11-22T14:00:00+00:00"}}).encode(), "maxTemperature"),
        (json.dumps(grid(uom="wmoUnit:K")).encode(), "maxTemperature.uom"),
        (json.dumps(grid(update="yesterday")).encode(), "updateTime"),
        (json.dumps(grid(update="2026-11-22T14:00:00")).encode(), "updateTime"),
        (json.dumps(grid(value="warm")).encode(), "value"),
    ],
)
async def test_a_body_of_another_shape_names_the_field(service, clock, sleeper, reading, body, field):
    """A 200 with an error page is a failure of the source, not "no forecast"."""
    service["grid"].respond(content=body)
    async with reading(source(clock, sleeper)) as (events, _):
        await rounds(sleeper, 1)
    assert isinstance(events[-1], FeedDown)
    assert field in events[-1].reason


async def test_a_grid_without_coming_maxima_is_a_failure(service, clock, sleeper, reading):
    service["grid"].respond(json=grid(update="2026-12-20T00:00:00+00:00"))
    async with reading(source(clock, sleeper)) as (events, _):
        await rounds(sleeper, 1)
    assert "no maximum of the next 3 days" in events[-1].reason


async def test_a_redrawn_grid_is_looked_up_again(service, clock, sleeper, reading):
    service["grid"].respond(404)
    async with reading(source(clock, sleeper)) as (events, _):
        await rounds(sleeper, 1)
        service["points"].respond(json={"properties": {"gridId": "OKX", "gridX": 1, "gridY": 2}})
        service.get("/gridpoints/OKX/1,2").respond(json=grid())
        sleeper.wake()
        await rounds(sleeper, 1)
    assert isinstance(events[-1], FeedUp)


async def test_an_unreadable_report_is_told_once_and_does_not_block_the_next(
    service, clock, sleeper, reading
):
    service["list"].respond(
        json={
            "@graph": [
                {"id": "p2", "issuanceTime": "2026-11-23T06:20:00+00:00"},
                {"id": "p1", "issuanceTime": "2026-11-22T06:20:00+00:00"},
            ]
        }
    )
    service["product"].respond(json=product("??"))
    service.get("/products/p2").respond(json=product(51))
    async with reading(source(clock, sleeper)) as (events, _):
        await rounds(sleeper, 2)
    assert [event.tmax_f for event in events if isinstance(event, DailyMaximum)] == [51]
    downs = [event for event in events if isinstance(event, FeedDown)]
    assert len(downs) == 1
    assert "CLI.MAXIMUM" in downs[0].reason
    assert isinstance(events[-1], FeedUp)


async def test_a_missing_maximum_is_no_event_and_another_station_is_refused(service, clock, sleeper, reading):
    service["product"].respond(json=product("MM"))
    async with reading(source(clock, sleeper)) as (events, _):
        await rounds(sleeper, 1)
    assert not [event for event in events if isinstance(event, DailyMaximum | FeedDown)]
    body = product(47)
    body["productText"] = body["productText"].replace("CLINYC", "CLILGA")
    service["product"].respond(json=body)
    async with reading(source(clock, sleeper)) as (events, _):
        sleeper.asleep.clear()
        await rounds(sleeper, 1)
    assert "CLINYC" in events[-1].reason


def test_a_contact_is_required(clock):
    with pytest.raises(ConfigError, match="contact"):
        NwsForecastSource([NYC], clock, "nobody")


def test_the_recorded_grid_gives_maxima_by_climate_day(recorded):
    """A grid issued 2022-02-04 03:15Z for Austin: degC to degF, each 13 h period on its own day."""
    station = station_for_series("KXHIGHAUS")
    body = decode(recorded("nws_api_pynws/detailed_forecast.json"), GridBody, "grid")
    issued, maxima = grid_maxima(body, station)
    assert issued == instant("2022-02-04T03:15:41+00:00", "t")
    assert [m.target_date for m in maxima[:3]] == ["2022-02-03", "2022-02-04", "2022-02-05"]
    assert maxima[1].tmax_f == pytest.approx(72.0)
    assert maxima[1].day_start == climate_day_bounds("2022-02-04", station)[0]


def test_the_recorded_point_names_the_grid(recorded):
    point = decode(recorded("nws_api/points_nyc.json"), PointBody, "points").properties
    assert (point.grid_id, point.grid_x, point.grid_y) == ("OKX", 34, 45)


def test_the_recorded_problem_body_is_not_a_point(recorded):
    with pytest.raises(WireError, match="properties"):
        decode(recorded("nws_api/error_400.json"), PointBody, "points")


def test_a_day_boundary_is_local_standard_time_in_summer_too():
    """A period whose middle is 04:30Z in July is still the day before in New York (midnight is 05:00Z)."""
    body = grid()
    body["properties"]["maxTemperature"]["values"] = [
        {"validTime": "2026-07-10T04:00:00+00:00/PT1H", "value": 20.0},
        {"validTime": "2026-07-10T05:00:00+00:00/PT1H", "value": 20.0},
    ]
    _, maxima = grid_maxima(decode(json.dumps(body).encode(), GridBody, "grid"), NYC)
    assert [m.target_date for m in maxima] == ["2026-07-09", "2026-07-10"]


def test_periods():
    start = instant("2026-11-23T12:00:00+00:00", "t")
    assert period("2026-11-23T12:00:00+00:00/P1DT2H30M", "t") == (start, start + (26 * 3600 + 1800) * SECOND)
    for bad in ("2026-11-23T12:00:00+00:00", "2026-11-23T12:00:00+00:00/P", "2026-11-23T12:00:00+00:00/P1W"):
        with pytest.raises(WireError, match="t: expected"):
            period(bad, "t")
