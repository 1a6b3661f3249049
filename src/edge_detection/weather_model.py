"""Daily-high markets from a bias-corrected forecast, pooled with the market (docs/METHODS.md 1).

Only the day ahead is traded. Once the climate day has begun (local standard midnight) the temperature so
far matters more than yesterday's forecast, and this model does not condition on it: from then on it gives
no signal and no probability for that event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

from src.core.brackets import exhaustive_ladder
from src.core.errors import WireError
from src.core.events import (
    BookInvalid,
    DailyMaximum,
    Event,
    FeedDown,
    FeedUp,
    ForecastUpdate,
    Tick,
    books_shown,
)
from src.core.market import Market
from src.core.ports import MarketView, Wakes
from src.core.signal import Signal
from src.core.stations import Station, climate_day_bounds, event_date, station_for_series
from src.core.units import CENT_PRICE, DOLLAR_PRICE, HOUR, MINUTE, Nanos, Price
from src.edge_detection.ladder import market_consensus, pool_ladder, strikes_of
from src.edge_detection.weather_config import WeatherConfig
from src.edge_detection.weather_estimator import Estimate
from src.edge_detection.weather_evidence import Evidence, EvidenceLog, ScoredDay
from src.edge_detection.weather_history import WeatherHistory
from src.edge_detection.weather_opinion import NAME, Opinion, edges

# Beyond the records of the contiguous states: a unit mistaken or a sentinel, never a forecast.
_COLDEST_F, _HOTTEST_F = -80.0, 140.0
# Brackets of one event are one opinion: further legs of it add fees, not information.
_SIGNALS_PER_EVENT = 2
# A refused opinion may be said again, but not on every change of the book.
_REPEAT_AFTER: Nanos = MINUTE
_NEAR_CERTAIN: Price = 10 * CENT_PRICE


class WeatherModel:
    """``Strategy``: buys the outcome of a temperature bracket that costs less than we think it is worth.

    Wakes on a forecast for an open event, and on ticks for events whose books changed since. Repeated
    messages change nothing. ``scored_days`` are settled events scored earlier (paper or backtest), the
    evidence that ``require_live_history`` asks for.
    """

    def __init__(self, config: WeatherConfig, scored_days: Sequence[ScoredDay] = ()) -> None:
        self._config = config
        self._stations = {series: station_for_series(series) for series in config.series}
        self._history = WeatherHistory(self._stations.values(), config.estimator, config.max_lead_days)
        self._evidence = EvidenceLog(scored_days)
        self._opinions: dict[str, Opinion] = {}
        self._dirty: set[str] = set()
        self._down: set[str] = set()
        self._said: dict[str, dict[str, Nanos]] = {}
        self._reasons: dict[str, str] = {}
        self.skips: Counter[str] = Counter()

    @property
    def name(self) -> str:
        """``"weather_model"``."""
        return NAME

    @property
    def wakes(self) -> Wakes:
        """A change of a book only marks its event for the next tick."""
        return Wakes(notes_changes=True)

    def is_done(self, ticker: str) -> bool:
        """No quote makes it speak by itself."""
        return True

    def on_event(self, view: MarketView, event: Event) -> Sequence[Signal]:
        """React to an event; signals come best edge first within each event of the exchange."""
        if shown := books_shown(event):
            for ticker in shown:
                self._on_book(view, ticker)
            return ()
        if isinstance(event, Tick):
            return self._on_tick(view)
        if isinstance(event, ForecastUpdate):
            return self._on_forecast(view, event)
        if isinstance(event, DailyMaximum):
            self._on_maximum(event)
        elif isinstance(event, BookInvalid):
            self._on_invalid(view, event)
        elif isinstance(event, FeedDown):
            self._down.add(event.feed)
        elif isinstance(event, FeedUp):
            self._down.discard(event.feed)
        return ()

    def fair_probability(self, view: MarketView, ticker: str) -> float | None:
        """Pooled probability of YES as of the last look; None without a fresh forecast or valid books,
        and once the climate day has begun."""
        market = view.market(ticker)
        opinion = None if market is None else self._opinions.get(market.event_ticker)
        if opinion is None or view.now >= opinion.day_start or self._unusable(opinion.forecast, view.now):
            return None
        return opinion.probability(ticker)

    def evidence(self) -> Evidence:
        """What the settled events say about the model given the market."""
        return self._evidence.weigh()

    def scored_days(self) -> Sequence[ScoredDay]:
        """The settled events scored so far, oldest first, to be handed to a later ``WeatherModel``."""
        return self._evidence.days()

    def status(self) -> Mapping[str, str]:
        """Why it trades or not: ``"live"`` for the evidence gate, then each event's last answer."""
        missing = self.evidence().missing(self._config.live_history_days)
        live = "ready" if not missing else "needs " + "; ".join(missing)
        return {"live": live, **self._reasons}

    # --- waking --------------------------------------------------------------------------------

    def _on_book(self, view: MarketView, ticker: str) -> None:
        market = view.market(ticker)
        if market is not None and market.series_ticker in self._stations:
            self._dirty.add(market.event_ticker)

    def _on_tick(self, view: MarketView) -> Sequence[Signal]:
        if not self._dirty:
            return ()
        dirty, self._dirty = sorted(self._dirty), set()
        return [signal for event_ticker in dirty for signal in self._evaluate(view, event_ticker)]

    def _on_forecast(self, view: MarketView, forecast: ForecastUpdate) -> Sequence[Signal]:
        station = self._stations.get(forecast.series_ticker)
        if station is None or forecast.station != station.icao:
            return ()
        if not _COLDEST_F <= forecast.tmax_f <= _HOTTEST_F:
            self.skips["an implausible forecast"] += 1
            return ()
        if not self._history.take_forecast(forecast):
            return ()
        if view.now >= climate_day_bounds(forecast.target_date, station)[0]:
            return ()
        signals: list[Signal] = []
        for event_ticker in view.event_tickers(forecast.series_ticker):
            if _date_of(event_ticker) == forecast.target_date:
                signals += self._evaluate(view, event_ticker)
        return signals

    def _on_maximum(self, maximum: DailyMaximum) -> None:
        self._history.take_maximum(maximum)
        if maximum.final:
            self._evidence.settle(maximum.station, maximum.date, maximum.tmax_f)
            self._forget_until(maximum.series_ticker, maximum.date)

    def _forget_until(self, series_ticker: str, day: str) -> None:
        """Drop what was kept about events of days that are over: each of them has a reason."""
        for event_ticker in list(self._reasons):
            past = _date_of(event_ticker)
            if event_ticker.startswith(f"{series_ticker}-") and past is not None and past <= day:
                del self._reasons[event_ticker]
                self._opinions.pop(event_ticker, None)
                self._said.pop(event_ticker, None)

    def _on_invalid(self, view: MarketView, event: BookInvalid) -> None:
        for ticker in event.tickers:
            market = view.market(ticker)
            if market is not None:
                self._opinions.pop(market.event_ticker, None)

    # --- deciding ------------------------------------------------------------------------------

    def _evaluate(self, view: MarketView, event_ticker: str) -> list[Signal]:
        opinion = self._look(view, event_ticker)
        if isinstance(opinion, str):
            self._opinions.pop(event_ticker, None)
            return self._skip(event_ticker, opinion)
        self._opinions[event_ticker] = opinion
        self._evidence.look(
            event_ticker,
            opinion.station.icao,
            opinion.day,
            strikes_of(opinion.ladder),
            opinion.pool.model,
            opinion.pool.market,
        )
        config = self._config
        if view.now >= opinion.day_start - int(config.latest_entry_hours_before_day * HOUR):
            return self._skip(event_ticker, "too close to the climate day")
        if opinion.estimate.sigma > config.sharpness_ratio * opinion.consensus.sigma:
            return self._skip(event_ticker, "the market is sharper than the model")
        if config.require_live_history and self.evidence().missing(config.live_history_days):
            return self._skip(event_ticker, "live evidence is missing")
        candidates = edges(view, opinion, self._config.min_edge)
        if not candidates:
            return self._skip(event_ticker, "no edge")
        self._reasons[event_ticker] = "signal"
        return self._say(view.now, event_ticker, candidates)

    def _skip(self, event_ticker: str, reason: str) -> list[Signal]:
        self.skips[reason] += 1
        self._reasons[event_ticker] = reason
        return []

    def _look(self, view: MarketView, event_ticker: str) -> Opinion | str:
        """Everything known about an event now, or the reason why there is no opinion."""
        markets = view.markets_of(event_ticker)
        day = _date_of(event_ticker)
        station = self._stations.get(markets[0].series_ticker) if markets else None
        if station is None or day is None:
            return "not a known daily-high event"
        day_start, _ = climate_day_bounds(day, station)
        if view.now >= day_start:
            return "the climate day has begun"
        source = self._choose_source(station, day, view.now)
        if isinstance(source, str):
            return source
        ladder = exhaustive_ladder(markets)
        if ladder is None:
            return "the brackets do not cover every degree once"
        if not all(market.is_open(view.now) for market in ladder):
            return "a market of the event is not open"
        if not all(_rules_name(market, station) for market in ladder):
            return "the rules do not name the station"
        mids = _mids(view, ladder)
        if mids is None:
            return "a book is not valid"
        strikes = strikes_of(ladder)
        consensus = market_consensus(strikes, mids)
        if consensus is None:
            return "the books are one-sided or fit no normal"
        forecast, estimate = source
        pool = pool_ladder(strikes, estimate, consensus.probabilities, self._config.model_weight)
        return Opinion(event_ticker, station, day, day_start, forecast, estimate, ladder, consensus, pool)

    def _choose_source(self, station: Station, day: str, now: Nanos) -> tuple[ForecastUpdate, Estimate] | str:
        reason = "no forecast"
        for source in self._config.sources:
            forecast = self._history.newest(station.icao, source, day)
            if forecast is None:
                continue
            unusable = self._unusable(forecast, now)
            if unusable:
                reason = unusable
                continue
            errors = self._history.errors(station.icao, source)
            if errors is None or len(errors) < self._config.min_history_days:
                reason = "history is too short"
                continue
            gap = date.fromisoformat(day) - date.fromisoformat(errors.last_date)
            if gap.days > self._config.max_history_gap_days:
                reason = "history is out of date"
                continue
            estimate = errors.estimate(forecast.tmax_f, day)
            if estimate is not None:
                return forecast, estimate
        return reason

    def _unusable(self, forecast: ForecastUpdate, now: Nanos) -> str:
        """Why a forecast may not be traded on now; empty when it may."""
        if self._down & {"weather", f"weather:{forecast.source}"}:
            return "the forecast's feed is down"
        if forecast.issued_ts > now:
            return "the forecast is from the future"
        if now - forecast.issued_ts > int(self._config.max_forecast_age_hours * HOUR):
            return "the forecast is stale"
        return ""

    def _say(self, now: Nanos, event_ticker: str, candidates: Sequence[tuple[float, Signal]]) -> list[Signal]:
        said = self._said.setdefault(event_ticker, {})
        signals = [signal for _, signal in candidates[:_SIGNALS_PER_EVENT]]
        fresh = [s for s in signals if s.signal_id not in said or now - said[s.signal_id] >= _REPEAT_AFTER]
        said.update((signal.signal_id, now) for signal in fresh)
        return fresh


def _date_of(event_ticker: str) -> str | None:
    """The climate day of an event; None for a ticker of another shape, which is then counted as skipped."""
    try:
        return event_date(event_ticker)
    except WireError:
        return None


def _rules_name(market: Market, station: Station) -> bool:
    """Whether the market's rules, where known, speak of our station (wrong station, wrong temperature)."""
    rules = market.rules_primary
    names = (station.cli, station.icao, station.city.removesuffix(" City").removesuffix(" DC"))
    return not rules or any(name in rules for name in names)


def _mids(view: MarketView, ladder: Sequence[Market]) -> list[float | None] | None:
    """Mid of each book, None where the book says too little; None altogether when one cannot be trusted.

    Far brackets often have no bid (or no ask): 0 and 1 dollar are no legal prices. A lone ask of at most ten
    cents still says that the value lies between zero and it, and is read as the middle of that.
    """
    mids: list[float | None] = []
    for market in ladder:
        book = view.book(market.ticker)
        if book is None or not book.is_valid or book.is_crossed:
            return None
        bid, ask = book.best_bid, book.best_ask
        if bid is None and ask is not None and ask <= _NEAR_CERTAIN:
            mids.append(ask / 2 / DOLLAR_PRICE)
        elif ask is None and bid is not None and bid >= DOLLAR_PRICE - _NEAR_CERTAIN:
            mids.append((bid + DOLLAR_PRICE) / 2 / DOLLAR_PRICE)
        else:
            mids.append(book.mid)
    return mids
