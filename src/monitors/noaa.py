"""National Weather Service forecasts and daily climate reports, polled from api.weather.gov."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import httpx

from src.core.errors import ConfigError, WireError
from src.core.events import DailyMaximum, Event, FeedDown, FeedUp, ForecastUpdate
from src.core.ports import Clock
from src.core.stations import Station
from src.core.units import DAY
from src.monitors.backoff import backoff_seconds
from src.monitors.cli_report import parse_cli_report
from src.monitors.nws_wire import GridBody, PointBody, ProductBody, ProductList, decode, grid_maxima, instant

BASE_URL = "https://api.weather.gov"
FEED = "weather:nws"
SOURCE = "nws"
# Kalshi lists daily highs one to two days ahead; the grid reaches a week.
_HORIZON_DAYS = 3
# Some ten days of a station's reports, so that a restart after a pause catches up on the outcomes.
_REPORTS_KEPT = 24
_RETRY_BASE_SECONDS = 30.0
_TIMEOUT_SECONDS = 20.0


class NwsError(Exception):
    """A request to the service did not give a body we can use."""


class NwsForecastSource:
    """``WeatherSource``: maxima of the NWS grid at each station, and the maxima its CLI reports.

    ``contact``: an e-mail address or URL for the User-Agent, which the service requires.
    ``poll_seconds``: between rounds over all stations; after a failed round sooner, backing off.
    A forecast is sent once per issue and day, a report once. The feed is down from the first round in
    which any station failed until one in which all succeed. Raises ``ConfigError`` without a contact.
    """

    def __init__(
        self,
        stations: Sequence[Station],
        clock: Clock,
        contact: str,
        *,
        base_url: str = BASE_URL,
        poll_seconds: float = 600.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        if "@" not in contact and "://" not in contact:
            raise ConfigError(
                f"weather contact is {contact!r}: give an e-mail address or a URL, the NWS asks for one"
            )
        self._stations = tuple(stations)
        self._clock = clock
        self._base_url = base_url
        self._headers = {"User-Agent": f"kalshi-trading-system ({contact})", "Accept": "application/geo+json"}
        self._poll_seconds = poll_seconds
        self._sleep = sleep
        self._jitter = jitter
        self._grids: dict[str, str] = {}
        self._validators: dict[str, dict[str, str]] = {}
        self._issues: dict[str, int] = {}
        self._reports: dict[str, frozenset[str]] = {}

    async def stream(self) -> AsyncIterator[Event]:
        """Yield events until cancelled."""
        timeout = httpx.Timeout(_TIMEOUT_SECONDS)
        up: bool | None = None
        failures = 0
        async with httpx.AsyncClient(
            base_url=self._base_url, headers=self._headers, timeout=timeout, follow_redirects=True
        ) as client:
            while True:
                problems: list[str] = []
                for station in self._stations:
                    for read in (self._read_reports, self._read_forecasts):
                        try:
                            events = await read(client, station, problems)
                        except (NwsError, WireError) as error:
                            problems.append(f"{station.icao}: {error}")
                            continue
                        for event in events:
                            yield event
                if problems and up is not False:
                    yield FeedDown(FEED, "; ".join(problems), self._clock.now())
                elif not problems and up is not True:
                    yield FeedUp(FEED, self._clock.now())
                up = not problems
                failures = failures + 1 if problems else 0
                await self._sleep(self._wait(failures))

    def _wait(self, failures: int) -> float:
        if failures:
            return backoff_seconds(failures, self._jitter(), _RETRY_BASE_SECONDS, self._poll_seconds)
        # Ten percent of jitter keeps many installations from asking in the same second.
        return self._poll_seconds * (1.0 + 0.1 * self._jitter())

    async def _read_forecasts(
        self, client: httpx.AsyncClient, station: Station, problems: list[str]
    ) -> list[Event]:
        """The maxima of a new issue of the grid; nothing for an issue already seen, or an older one."""
        path = await self._grid_path(client, station)
        response = await self._get(client, path, self._validators.get(station.icao))
        if response.status_code == httpx.codes.NOT_MODIFIED:
            return []
        issued, maxima = grid_maxima(decode(response.content, GridBody, path), station)
        now = self._clock.now()
        forecasts: list[Event] = [
            ForecastUpdate(
                series_ticker=station.series_ticker,
                station=station.icao,
                target_date=maximum.target_date,
                source=SOURCE,
                lead_days=(maximum.day_start + DAY // 2 - issued) / DAY,
                tmax_f=maximum.tmax_f,
                issued_ts=issued,
                ts_event=now,
                ts_recv=now,
            )
            for maximum in maxima
            # The period of a day that has begun is cut to the hours left: not that day's maximum.
            if 0 < maximum.day_start - issued <= _HORIZON_DAYS * DAY
        ]
        if not forecasts:
            problems.append(f"{station.icao}: the grid holds no maximum of the next {_HORIZON_DAYS} days")
            return []
        self._validators[station.icao] = _validators(response)
        if issued <= self._issues.get(station.icao, 0):
            return []
        self._issues[station.icao] = issued
        return forecasts

    async def _grid_path(self, client: httpx.AsyncClient, station: Station) -> str:
        """The station's grid square, asked for once; asked again when the office has redrawn its grid."""
        path = self._grids.get(station.icao)
        if path is None:
            point_path = f"/points/{station.lat},{station.lon}"
            point = decode((await self._get(client, point_path)).content, PointBody, point_path).properties
            path = f"/gridpoints/{point.grid_id}/{point.grid_x},{point.grid_y}"
            self._grids[station.icao] = path
        return path

    async def _read_reports(
        self, client: httpx.AsyncClient, station: Station, problems: list[str]
    ) -> list[Event]:
        """The maxima of the climate reports not yet seen, oldest first."""
        path = f"/products/types/CLI/locations/{station.cli.removeprefix('CLI')}"
        listing = decode((await self._get(client, path)).content, ProductList, path).graph[:_REPORTS_KEPT]
        seen = self._reports.get(station.icao, frozenset())
        events: list[Event] = []
        for entry in reversed(listing):
            if entry.id in seen:
                continue
            product_path = f"/products/{entry.id}"
            body = (await self._get(client, product_path)).content
            try:
                maximum = self._daily_maximum(decode(body, ProductBody, product_path), station)
            except WireError as error:
                # A product never changes, so asking again cannot help: say it once and go on.
                problems.append(f"{station.icao}: {error}")
                continue
            if maximum is not None:
                events.append(maximum)
        self._reports[station.icao] = frozenset(entry.id for entry in listing)
        return events

    def _daily_maximum(self, product: ProductBody, station: Station) -> DailyMaximum | None:
        report = parse_cli_report(product.product_text)
        if report.cli_id != station.cli:
            raise WireError("CLI.header", report.cli_id, station.cli)
        if report.tmax_f is None:
            return None
        return DailyMaximum(
            series_ticker=station.series_ticker,
            station=station.icao,
            date=report.date,
            tmax_f=report.tmax_f,
            final=report.final,
            ts_event=instant(product.issuance_time, "issuanceTime"),
            ts_recv=self._clock.now(),
        )

    async def _get(
        self, client: httpx.AsyncClient, path: str, validators: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """GET a body, or 304 when ``validators`` were given. Raises ``NwsError``."""
        try:
            response = await client.get(path, headers=validators)
        except httpx.HTTPError as error:
            raise NwsError(f"{path}: {type(error).__name__} {error}".rstrip()) from error
        if response.status_code == httpx.codes.NOT_FOUND and path.startswith("/gridpoints/"):
            self._grids = {icao: known for icao, known in self._grids.items() if known != path}
        if response.is_success or (validators and response.status_code == httpx.codes.NOT_MODIFIED):
            return response
        raise NwsError(f"{path}: HTTP {response.status_code}")


def _validators(response: httpx.Response) -> dict[str, str]:
    """Request headers that ask for the body only if it changed."""
    pairs = (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified"))
    return {ask: response.headers[told] for ask, told in pairs if told in response.headers}
