"""The generated world: made-up weather in real cities, and a crowd that trades on it.

For demonstrations and tests without any network or data. What the weather is and what is known about it
is written in ``generated_weather``; how the crowd is wrong in ``generated_belief``; how it quotes in
``generated_crowd``. The markets follow Kalshi's daily-high grammar: listed at 14:00Z the day before, six
exhaustive exclusive brackets, closed at the end of the climate day, determined at 12:00Z the day after,
paid an hour later.

Every city-day draws from its own random streams, derived from (seed, series, date, purpose): the same
arguments give the same world, and another city or another day changes nothing in the others.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from operator import attrgetter
from random import Random

from src.core.errors import ConfigError
from src.core.events import DailyMaximum, ForecastUpdate
from src.core.fees import FeeSchedule
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus, Strike, StrikeKind
from src.core.stations import climate_day_bounds, event_ticker_for, utc_midnight
from src.core.units import DAY, HOUR, MINUTE, SECOND, Nanos
from src.simulator.generated_belief import CrowdBelief, whole_degree_range
from src.simulator.generated_crowd import EventSession, WeatherItem, digestion_delay
from src.simulator.generated_weather import CLIMATES, CityWeather
from src.simulator.world import ListEvent, WeatherNews, WorldEvent

DEFAULT_CITIES: tuple[str, ...] = tuple(climate.series_ticker for climate in CLIMATES)
HISTORY_DAYS = 150
SETTLEMENT_TIMER_SECONDS = 3600
_LISTING_HOUR = 14
_DETERMINATION_HOUR = 12
_START_HOUR = 13.5
_BRACKET_WIDTH = 2
_BRACKETS = 4


def ladder(expected_f: float) -> tuple[Strike, ...]:
    """Six strikes that partition the whole degrees, centred on ``expected_f`` (Kalshi's grammar)."""
    low = round(expected_f - (_BRACKETS * _BRACKET_WIDTH - 1) / 2)
    floors = [float(low + n * _BRACKET_WIDTH) for n in range(_BRACKETS)]
    between = (Strike(StrikeKind.BETWEEN, floor, floor + _BRACKET_WIDTH - 1) for floor in floors)
    lowest, highest = floors[0], floors[-1] + _BRACKET_WIDTH - 1
    return (Strike(StrikeKind.LESS, cap=lowest), *between, Strike(StrikeKind.GREATER, floor=highest))


class GeneratedWorld:
    """A world of ``days`` climate days in ``cities``. Implements ``World``.

    ``cities``: daily-high series tickers out of ``DEFAULT_CITIES``; ``start_date``: first climate day
    (ISO). Raises ``ConfigError`` for an unknown city, a malformed date or fewer than one day.
    """

    kind = "generated"

    def __init__(
        self,
        seed: int,
        days: int = 3,
        cities: Sequence[str] = DEFAULT_CITIES,
        start_date: str = "2026-11-23",
    ) -> None:
        climates = {climate.series_ticker: climate for climate in CLIMATES}
        unknown = [city for city in cities if city not in climates]
        if unknown or not cities or len(set(cities)) != len(cities):
            raise ConfigError(
                f"cities: got {', '.join(cities) or 'none'}; choose some of {', '.join(climates)}"
            )
        if days < 1:
            raise ConfigError(f"days: {days} is too few; a generated world needs at least 1")
        try:
            first = date.fromisoformat(start_date)
        except ValueError as error:
            raise ConfigError(f"start_date: {start_date!r} is not an ISO date, e.g. 2026-11-23") from error
        self.days = days
        self._seed = seed
        self._midnights = tuple(utc_midnight((first + timedelta(days=n)).isoformat()) for n in range(days))
        self.start: Nanos = self._midnights[0] - DAY + int(_START_HOUR * HOUR)
        determined = self._midnights[-1] + DAY + _DETERMINATION_HOUR * HOUR
        self.end: Nanos = determined + SETTLEMENT_TIMER_SECONDS * SECOND + MINUTE
        oldest = first - timedelta(days=HISTORY_DAYS)
        self._weather = [CityWeather(seed, climates[city], oldest, HISTORY_DAYS + days) for city in cities]

    def history(self) -> Iterator[ForecastUpdate | DailyMaximum]:
        """All forecasts and final maxima of the ``HISTORY_DAYS`` before, as far as public by ``start``."""
        known: list[ForecastUpdate | DailyMaximum] = []
        for weather in self._weather:
            for index in range(HISTORY_DAYS + 1):
                day = weather.day(index)
                known.extend(item for item in day.record if item.ts_recv < self.start)
        return iter(sorted(known, key=attrgetter("ts_recv", "station")))

    def events(self) -> Iterator[WorldEvent]:
        """Everything from ``start`` to ``end``; computed as it is consumed."""
        streams: list[Iterable[WorldEvent]] = []
        for weather in self._weather:
            streams.append(self._last_day_of_history(weather))
            for number in range(self.days):
                streams.append(self._city_day(weather, number))
        return heapq.merge(*streams, key=attrgetter("ts"))

    def _last_day_of_history(self, weather: CityWeather) -> Iterator[WorldEvent]:
        """What becomes public after ``start`` about the day before the first event."""
        day = weather.day(HISTORY_DAYS - 1)
        for item in day.record:
            if item.ts_recv >= self.start:
                yield WeatherNews(item.ts_recv, item)

    def _city_day(self, weather: CityWeather, number: int) -> Iterator[WorldEvent]:
        """One event: its early forecasts, then its session from the listing on."""
        day = weather.day(HISTORY_DAYS + number)
        listing = self._midnights[number] - DAY + _LISTING_HOUR * HOUR

        def stream(purpose: str) -> Random:
            return Random(f"{self._seed}|{weather.climate.series_ticker}|{day.iso_date}|{purpose}")

        day_start, _ = climate_day_bounds(day.iso_date, weather.station)
        belief = CrowdBelief(stream("belief"), weather.climate, day_start)
        delays = stream("delays")
        digestions: list[tuple[Nanos, WeatherItem]] = []
        for item in day.news:
            if self.start <= item.ts_recv < listing:
                yield WeatherNews(item.ts_recv, item)
            digested = item.ts_recv + digestion_delay(delays, item)
            if digested < listing:
                belief.digest(item)
            else:
                digestions.append((digested, item))
        listed = _list_event(weather, day.iso_date, listing, ladder(belief.expected_f))
        determined = self._midnights[number] + DAY + _DETERMINATION_HOUR * HOUR
        yield from EventSession(stream, belief, listed, digestions, determined, day.maximum_f).events()


def _list_event(weather: CityWeather, iso_date: str, ts: Nanos, strikes: Sequence[Strike]) -> ListEvent:
    station = weather.station
    event_ticker = event_ticker_for(station.series_ticker, iso_date)
    _, close = climate_day_bounds(iso_date, station)
    markets = tuple(
        Market(
            ticker=f"{event_ticker}-{_tail(strike)}",
            event_ticker=event_ticker,
            series_ticker=station.series_ticker,
            status=MarketStatus.INITIALIZED,
            open_time=ts,
            close_time=close,
            grid=LINEAR_CENT,
            fees=FeeSchedule(),
            strike=strike,
            title=_describe(strike),
            settlement_timer_seconds=SETTLEMENT_TIMER_SECONDS,
            rules_primary=(
                f"If the maximum temperature of the generated world at {station.city} ({station.cli}) on "
                f"{iso_date} (local standard time) is {_describe(strike)}, the market resolves to Yes."
            ),
        )
        for strike in strikes
    )
    title = f"Highest temperature in {station.city} on {iso_date}?"
    return ListEvent(ts, event_ticker, station.series_ticker, title, markets)


def _tail(strike: Strike) -> str:
    """The last part of a market's ticker: ``B50.5`` for 50 to 51, ``T50`` and ``T57`` for the tails."""
    if strike.kind is StrikeKind.BETWEEN and strike.floor is not None:
        return f"B{strike.floor + 0.5:.1f}"
    edge = strike.cap if strike.kind is StrikeKind.LESS else strike.floor
    return f"T{edge:.0f}"


def _describe(strike: Strike) -> str:
    low, high = whole_degree_range(strike)
    if low is None:
        return f"{high}\N{DEGREE SIGN} or below"
    return (
        f"{low}\N{DEGREE SIGN} or above" if high is None else f"{low}\N{DEGREE SIGN} to {high}\N{DEGREE SIGN}"
    )
