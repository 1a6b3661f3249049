"""The generated world: deterministic, well-formed, and wrong by the stated amount."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from random import Random
from statistics import NormalDist, fmean

import pytest

from src.core.errors import ConfigError
from src.core.events import DailyMaximum, ForecastUpdate, Levels, ObservationUpdate
from src.core.grid import LINEAR_CENT
from src.core.market import Market, Strike, StrikeKind
from src.core.stations import climate_day_bounds, event_date, station_for_series
from src.core.units import DAY, DOLLAR_PRICE, HOUR, MINUTE
from src.simulator.generated import DEFAULT_CITIES, GeneratedWorld, ladder
from src.simulator.generated_belief import whole_degree_range
from src.simulator.generated_crowd import digestion_delay
from src.simulator.generated_weather import CLIMATES
from src.simulator.world import (
    CrowdQuote,
    CrowdTake,
    Determine,
    ListEvent,
    WeatherNews,
    World,
    WorldEvent,
)


@pytest.fixture(scope="module")
def world() -> World:
    return GeneratedWorld(7)


@pytest.fixture(scope="module")
def events(world: World) -> list[WorldEvent]:
    return list(world.events())


def _markets(events: Iterable[WorldEvent]) -> dict[str, Market]:
    return {m.ticker: m for e in events if isinstance(e, ListEvent) for m in e.markets}


def _series_of(event: WorldEvent) -> str:
    if isinstance(event, ListEvent):
        return event.series_ticker
    if isinstance(event, WeatherNews):
        return event.item.series_ticker
    return event.ticker.split("-")[0]


def test_the_same_seed_gives_the_same_world_and_another_seed_another(
    world: World, events: list[WorldEvent]
) -> None:
    again = GeneratedWorld(7)
    assert list(world.events()) == events
    assert list(again.events()) == events
    assert list(again.history()) == list(world.history())
    other = GeneratedWorld(8)
    assert list(other.events()) != events
    assert list(other.history()) != list(world.history())


def test_another_city_or_another_day_changes_nothing_in_the_others(events: list[WorldEvent]) -> None:
    alone = list(GeneratedWorld(7, cities=["KXHIGHMIA"]).events())
    assert alone == [e for e in events if _series_of(e) == "KXHIGHMIA"]
    longer = [
        e
        for e in GeneratedWorld(7, days=4).events()
        if not isinstance(e, WeatherNews | Determine | ListEvent)
    ]
    first_three = set(_markets(events))
    shorter = [e for e in events if not isinstance(e, WeatherNews | Determine | ListEvent)]
    assert [e for e in longer if e.ticker in first_three] == shorter


def test_events_are_ordered_lie_within_the_worlds_time_and_are_few_enough_to_replay(
    world: World, events: list[WorldEvent]
) -> None:
    assert all(a.ts <= b.ts for a, b in itertools.pairwise(events))
    assert world.start <= events[0].ts
    assert events[-1].ts <= world.end
    assert world.kind == "generated"
    assert world.days == 3
    assert 8_000 < len(events) < 20_000


def test_each_event_is_six_exhaustive_exclusive_brackets_in_kalshis_grammar(
    events: list[WorldEvent],
) -> None:
    listings = [e for e in events if isinstance(e, ListEvent)]
    assert len(listings) == 3 * len(DEFAULT_CITIES)
    for listing in listings:
        assert len(listing.markets) == 6
        strikes = [m.strike for m in listing.markets if m.strike is not None]
        for degrees in range(-60, 140):
            assert sum(_pays(strike, degrees) for strike in strikes) == 1
        day_start, day_end = climate_day_bounds(
            event_date(listing.event_ticker), station_for_series(listing.series_ticker)
        )
        offset = station_for_series(listing.series_ticker).std_utc_offset_hours * HOUR
        assert listing.ts == day_start + offset - DAY + 14 * HOUR
        for market in listing.markets:
            assert market.open_time == listing.ts
            assert market.close_time == day_end
            assert market.settlement_timer_seconds == 3600
            assert market.result == ""
    low = ladder(53.4)
    assert low[0] == Strike(StrikeKind.LESS, cap=50.0)
    assert low[1] == Strike(StrikeKind.BETWEEN, 50.0, 51.0)
    assert low[5] == Strike(StrikeKind.GREATER, floor=57.0)
    tails = [m.ticker.rsplit("-", 1)[1] for m in listings[0].markets]
    assert [tail[0] for tail in tails] == ["T", "B", "B", "B", "B", "T"]
    assert all(tail.endswith(".5") for tail in tails[1:5])


def _pays(strike: Strike, degrees: int) -> bool:
    low, high = whole_degree_range(strike)
    return (low is None or degrees >= low) and (high is None or degrees <= high)


def test_every_market_is_determined_once_and_exactly_one_of_an_event_pays(
    events: list[WorldEvent],
) -> None:
    markets = _markets(events)
    results = [e for e in events if isinstance(e, Determine)]
    assert Counter(e.ticker for e in results) == dict.fromkeys(markets, 1)
    paid = Counter(markets[e.ticker].event_ticker for e in results if e.result == "yes")
    assert paid == dict.fromkeys({m.event_ticker for m in markets.values()}, 1)
    finals = {
        (e.item.series_ticker, e.item.date): e.item.tmax_f
        for e in events
        if isinstance(e, WeatherNews) and isinstance(e.item, DailyMaximum) and e.item.final
    }
    for result in results:
        market = markets[result.ticker]
        maximum = finals[market.series_ticker, event_date(market.event_ticker)]
        assert result.expiration_value == f"{maximum}.00"
        assert market.strike is not None
        assert (result.result == "yes") == _pays(market.strike, maximum)
        assert result.settlement_value == (DOLLAR_PRICE if result.result == "yes" else 0)
        assert result.ts > market.close_time


def _check_levels(levels: Levels, best_first: int) -> None:
    prices = [price for price, _ in levels]
    assert all(LINEAR_CENT.is_legal(price) for price in prices)
    assert all(count > 0 for _, count in levels)
    assert prices == sorted(set(prices), reverse=best_first < 0)


def test_quotes_never_cross_stay_on_the_grid_and_the_crowd_acts_only_in_open_markets(
    events: list[WorldEvent],
) -> None:
    markets: dict[str, Market] = {}
    for event in events:
        if isinstance(event, ListEvent):
            markets |= {m.ticker: m for m in event.markets}
        elif isinstance(event, CrowdQuote | CrowdTake):
            assert markets[event.ticker].is_open(event.ts)
            if isinstance(event, CrowdTake):
                assert LINEAR_CENT.is_legal(event.price)
                assert event.count > 0
                continue
            _check_levels(event.bids, -1)
            _check_levels(event.asks, +1)
            assert event.bids or event.asks
            if event.bids and event.asks:
                assert 100 <= event.asks[0][0] - event.bids[0][0] <= 400


def test_observations_never_exceed_the_maximum_reach_it_and_reports_agree(events: list[WorldEvent]) -> None:
    seen: dict[tuple[str, str], list[float]] = {}
    reports: dict[tuple[str, str], list[DailyMaximum]] = {}
    for event in events:
        if not isinstance(event, WeatherNews):
            continue
        item = event.item
        assert item.ts_recv == event.ts
        if isinstance(item, ObservationUpdate):
            station = station_for_series(item.series_ticker)
            for number in range(3):
                iso_date = f"2026-11-{23 + number}"
                start, end = climate_day_bounds(iso_date, station)
                if start <= item.ts_event < end:
                    seen.setdefault((item.series_ticker, iso_date), []).append(item.temp_f)
        elif isinstance(item, DailyMaximum):
            reports.setdefault((item.series_ticker, item.date), []).append(item)
    assert len(seen) == 12
    for key, readings in seen.items():
        preliminary, final = reports[key]
        assert (preliminary.final, final.final) == (False, True)
        assert len(readings) == 24
        assert final.tmax_f - 0.5 <= max(readings) < final.tmax_f + 0.5
        assert preliminary.tmax_f <= final.tmax_f


def test_a_decided_outcome_is_priced_before_the_close(events: list[WorldEvent]) -> None:
    markets = _markets(events)
    last: dict[str, CrowdQuote] = {e.ticker: e for e in events if isinstance(e, CrowdQuote)}
    paid = {e.ticker for e in events if isinstance(e, Determine) and e.result == "yes"}
    for ticker in markets:
        quote = last[ticker]
        if ticker in paid:
            assert quote.bids[0][0] == 9_900
        else:
            assert quote.bids == ()
            assert quote.asks[0][0] == 100


def test_the_crowd_digests_forecasts_20_to_40_minutes_late_and_facts_within_three() -> None:
    rng = Random(3)
    history = list(GeneratedWorld(7, cities=["KXHIGHNY"]).history())
    for item in history[:200]:
        delay = digestion_delay(rng, item)
        if isinstance(item, ForecastUpdate):
            assert 20 * MINUTE <= delay <= 40 * MINUTE
        else:
            assert MINUTE <= delay <= 3 * MINUTE


def test_history_holds_150_past_days_and_nothing_from_the_worlds_time(world: World) -> None:
    history = list(world.history())
    assert all(item.ts_recv < world.start for item in history)
    assert all(a.ts_recv <= b.ts_recv for a, b in itertools.pairwise(history))
    finals = {(i.series_ticker, i.date): i.tmax_f for i in history if isinstance(i, DailyMaximum)}
    for climate in CLIMATES:
        errors = [
            i.tmax_f - finals[i.series_ticker, i.target_date]
            for i in history
            if isinstance(i, ForecastUpdate)
            and i.series_ticker == climate.series_ticker
            and i.lead_days == 1.0
            and (i.series_ticker, i.target_date) in finals
        ]
        assert len(errors) == 149
        sd = climate.run_sd(1.0)
        assert fmean(errors) == pytest.approx(climate.bias_f, abs=4 * sd / 149**0.5)


def _exact(strikes: list[Strike], law: NormalDist) -> list[float]:
    ranges = [whole_degree_range(strike) for strike in strikes]
    return [
        (1.0 if high is None else law.cdf(high + 0.5)) - (0.0 if low is None else law.cdf(low - 0.5))
        for low, high in ranges
    ]


def _crowd_and_truth(seed: int, days: int) -> list[tuple[float, float, float]]:
    """(crowd's mid, exact probability, outcome) per market, sampled every 3 h up to 08:00 local."""
    climates = {climate.series_ticker: climate for climate in CLIMATES}
    forecasts: dict[tuple[str, str], ForecastUpdate] = {}
    mids: dict[str, float] = {}
    due: dict[str, tuple[ListEvent, list[int]]] = {}
    sampled: list[tuple[str, float, float]] = []
    outcomes: dict[str, float] = {}
    for event in GeneratedWorld(seed, days=days).events():
        for listing, times in due.values():
            while times and event.ts >= times[0]:
                times.pop(0)
                newest = forecasts[listing.series_ticker, event_date(listing.event_ticker)]
                climate = climates[listing.series_ticker]
                law = NormalDist(newest.tmax_f - climate.bias_f, climate.run_sd(newest.lead_days))
                exact = _exact([m.strike for m in listing.markets if m.strike is not None], law)
                for market, probability in zip(listing.markets, exact, strict=True):
                    sampled.append((market.ticker, mids[market.ticker], probability))
        if isinstance(event, ListEvent):
            day_start = event.markets[0].close_time - DAY
            due[event.event_ticker] = (event, [day_start + h * HOUR for h in (-3, 0, 3, 6, 8)])
        elif isinstance(event, WeatherNews) and isinstance(event.item, ForecastUpdate):
            forecasts[event.item.series_ticker, event.item.target_date] = event.item
        elif isinstance(event, CrowdQuote):
            bid = event.bids[0][0] if event.bids else 0
            ask = event.asks[0][0] if event.asks else DOLLAR_PRICE
            mids[event.ticker] = (bid + ask) / 2 / DOLLAR_PRICE
        elif isinstance(event, Determine):
            outcomes[event.ticker] = event.settlement_value / DOLLAR_PRICE
    return [(mid, probability, outcomes[ticker]) for ticker, mid, probability in sampled]


def test_the_crowd_is_worse_than_the_exact_law_and_better_than_the_base_rate() -> None:
    sample = _crowd_and_truth(seed=1, days=15)
    assert len(sample) == 60 * 6 * 5
    crowd = fmean((mid - y) ** 2 for mid, _, y in sample)
    exact = fmean((p - y) ** 2 for _, p, y in sample)
    # Expected excess: exact given the law, free of the luck of 60 days.
    excess = fmean((mid - p) ** 2 for mid, p, _ in sample)
    base_rate = 5 / 36
    assert 0.002 < excess < 0.010
    assert crowd > exact
    assert crowd < base_rate - 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cities": ["KXHIGHXX"]}, "KXHIGHXX.*KXHIGHNY"),
        ({"cities": []}, "cities"),
        ({"cities": ["KXHIGHNY", "KXHIGHNY"]}, "cities"),
        ({"days": 0}, "days"),
        ({"start_date": "23 Nov 2026"}, "start_date"),
    ],
)
def test_bad_arguments_are_the_users_to_mend(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GeneratedWorld(1, **arguments)  # type: ignore[arg-type]
