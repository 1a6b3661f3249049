"""A trading desk for the weather model: a market view in memory, and messages in the order they happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import pytest

from src.core.book import OrderBook
from src.core.events import BookSnapshot, DailyMaximum, Event, ForecastUpdate, Tick
from src.core.fees import FeeSchedule
from src.core.grid import TAPERED_DECI_CENT
from src.core.market import Market, MarketStatus, Strike, StrikeKind
from src.core.probability import bracket_probability
from src.core.signal import Signal
from src.core.stations import climate_day_bounds, event_ticker_for, station_for_series
from src.core.units import DAY, HOUR, SECOND
from src.edge_detection.weather_config import WeatherConfig
from src.edge_detection.weather_estimator import EstimatorConfig
from src.edge_detection.weather_model import WeatherModel

SERIES = "KXHIGHNY"
STATION = station_for_series(SERIES)
STRIKES = (
    Strike(StrikeKind.LESS, cap=72.0),
    Strike(StrikeKind.BETWEEN, floor=72.0, cap=73.0),
    Strike(StrikeKind.BETWEEN, floor=74.0, cap=75.0),
    Strike(StrikeKind.BETWEEN, floor=76.0, cap=77.0),
    Strike(StrikeKind.GREATER, floor=77.0),
)


def add_days(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


class FakeView:
    """``MarketView`` over plain dictionaries."""

    def __init__(self) -> None:
        self.now = 0
        self.markets: dict[str, Market] = {}
        self.books: dict[str, OrderBook] = {}

    def market(self, ticker: str) -> Market | None:
        return self.markets.get(ticker)

    def markets_of(self, event_ticker: str) -> Sequence[Market]:
        return sorted(
            (m for m in self.markets.values() if m.event_ticker == event_ticker), key=lambda m: m.ticker
        )

    def event_tickers(self, series_ticker: str) -> Sequence[str]:
        return sorted(
            {
                m.event_ticker
                for m in self.markets.values()
                if m.series_ticker == series_ticker and m.is_open(self.now)
            }
        )

    def book(self, ticker: str) -> OrderBook | None:
        return self.books.get(ticker)

    def position(self, ticker: str) -> int:
        return 0


@dataclass
class Desk:
    """One event of New York's daily high, a model, and the hand that feeds both."""

    model: WeatherModel
    view: FakeView
    day: str = "2026-06-20"

    @property
    def day_start(self) -> int:
        return climate_day_bounds(self.day, STATION)[0]

    @property
    def event_ticker(self) -> str:
        return event_ticker_for(SERIES, self.day)

    @property
    def tickers(self) -> list[str]:
        return [f"{self.event_ticker}-{i}" for i in range(len(STRIKES))]

    def handle(self, event: Event) -> list[Signal]:
        self.view.now = event.ts_recv
        return list(self.model.on_event(self.view, event))

    def learn(self, errors: Sequence[float], forecast_f: float = 70.0) -> None:
        """Past days ending two days before the event's, each with this forecast error (degF)."""
        for offset, error in enumerate(errors):
            day = add_days(self.day, offset - len(errors) - 1)
            start = climate_day_bounds(day, STATION)[0]
            observed = round(forecast_f - error)
            self.handle(self.forecast(observed + error, start - 17 * HOUR, day=day))
            self.handle(
                DailyMaximum(SERIES, "KNYC", day, observed, True, start + 30 * HOUR, start + 30 * HOUR)
            )

    def forecast(
        self, tmax_f: float, issued: int, *, day: str = "", source: str = "nbm", lead_days: float = 1.0
    ) -> ForecastUpdate:
        known = issued + HOUR
        return ForecastUpdate(
            SERIES, "KNYC", day or self.day, source, lead_days, tmax_f, issued, known, known
        )

    def list_markets(self, **changes: object) -> None:
        for ticker, strike in zip(self.tickers, STRIKES, strict=True):
            market = Market(
                ticker=ticker,
                event_ticker=self.event_ticker,
                series_ticker=SERIES,
                status=MarketStatus.ACTIVE,
                open_time=self.day_start - 16 * HOUR,
                close_time=self.day_start + DAY,
                grid=TAPERED_DECI_CENT,
                fees=FeeSchedule(),
                strike=strike,
            )
            self.view.markets[ticker] = replace(market, **changes)

    def quote(self, ticker: str, bid: int | None, ask: int | None, ts: int) -> list[Signal]:
        """A new book with 100 contracts on each side that has a price (1e-4 dollars)."""
        book = OrderBook(ticker, TAPERED_DECI_CENT)
        bids = () if bid is None else ((bid, 10_000),)
        asks = () if ask is None else ((ask, 10_000),)
        book.apply_snapshot(bids, asks, 1, ts, None)
        self.view.books[ticker] = book
        return self.handle(BookSnapshot(ticker, bids, asks, 1, None, ts))

    def quote_normal(self, mu: float, sigma: float, ts: int, half_spread: int = 100) -> None:
        """The whole ladder quoted around the prices of a normal (degF)."""
        for ticker, strike in zip(self.tickers, STRIKES, strict=True):
            fair = bracket_probability(strike, mu, sigma) * 10_000
            bid = max(TAPERED_DECI_CENT.round_down(round(fair) - half_spread), 10)
            ask = min(TAPERED_DECI_CENT.round_up(round(fair) + half_spread), 9_990)
            self.quote(ticker, bid, ask, ts)

    def tick(self, ts: int) -> list[Signal]:
        return self.handle(Tick(ts))

    def ready(self, forecast_f: float = 74.3, market_mu: float = 77.0, market_sigma: float = 2.4) -> int:
        """Thirty days without error, a forecast, and a market that disagrees; returns the time to look at."""
        self.learn([0.0] * 30)
        issued = self.day_start - 17 * HOUR
        self.handle(self.forecast(forecast_f, issued))
        self.list_markets()
        self.quote_normal(market_mu, market_sigma, issued + 2 * HOUR)
        return issued + 2 * HOUR + SECOND


def make_config(**changes: object) -> WeatherConfig:
    """A model that takes errors of zero for a spread of 2.4 degF (the science vectors' sigma)."""
    base = WeatherConfig(
        series=(SERIES,), sources=("nbm", "gfs"), estimator=EstimatorConfig(sigma_floor_f=2.4)
    )
    return replace(base, **changes)


@pytest.fixture(scope="session")
def make_desk():
    """``make_desk(scored_days=(), **config changes)`` -> a fresh ``Desk``."""

    def build(scored_days=(), **changes):
        return Desk(WeatherModel(make_config(**changes), scored_days), FakeView())

    return build
