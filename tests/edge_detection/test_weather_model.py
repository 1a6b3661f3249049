"""The weather model through its public path: what it says, when it is silent, what it must not know."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.core.events import BookInvalid, DailyMaximum, FeedDown, FeedUp
from src.core.market import MarketStatus, Strike, StrikeKind
from src.core.probability import pool
from src.core.sides import Outcome
from src.core.signal import make_signal_id
from src.core.units import DAY, HOUR, MINUTE, SECOND
from src.edge_detection.weather_model import WeatherModel


def signals_by_market(signals):
    return {(signal.ticker, signal.outcome): signal for signal in signals}


def reason(desk):
    return desk.model.status()[desk.event_ticker]


def test_science_vectors_w1_to_w3(make_desk):
    """mu 74.3, sigma 2.4: P(74-75) = 0.322021, P(>= 78) = 0.091211, P(<= 71) = 0.121673."""
    desk = make_desk(model_weight=1.0)
    desk.tick(desk.ready(market_mu=74.3))
    fair = [desk.model.fair_probability(desk.view, ticker) for ticker in desk.tickers]
    assert fair[2] == pytest.approx(0.322021, abs=1e-6)
    assert fair[4] == pytest.approx(0.091211, abs=1e-6)
    assert fair[0] == pytest.approx(0.121673, abs=1e-6)
    assert sum(fair) == pytest.approx(1.0, abs=1e-9)


def test_a_mispriced_ladder_gives_the_two_best_signals_with_their_numbers(make_desk):
    """The market thinks 77, the model 74.3: the two widest gaps, best first, each explained."""
    desk = make_desk(model_weight=0.5)
    signals = desk.tick(desk.ready())
    assert len(signals) == 2
    edges = []
    for signal in signals:
        details = signal.details
        assert details["mu"] == pytest.approx(74.3)
        assert details["sigma"] == pytest.approx(2.4)
        assert details["n_history"] == 30
        assert details["mu_market"] == pytest.approx(77.0, abs=0.2)
        pooled = details["pooled"]
        assert signal.probability == pytest.approx(pooled if signal.outcome is Outcome.YES else 1 - pooled)
        cost = details["offer"] + 0.07 * details["offer"] * (1 - details["offer"])
        edges.append(signal.probability - cost)
        assert edges[-1] >= signal.min_edge >= max(0.03, 1.5 * signal.std_error)
        assert signal.signal_id == make_signal_id(
            "weather_model", signal.cause_id, signal.ticker, signal.outcome
        )
        assert signal.cause_id.startswith("forecast:nbm:KNYC:2026-06-20:")
        assert signal.cause_ts < signal.ts
    assert edges == sorted(edges, reverse=True)


def test_the_pool_weighs_model_and_market_as_configured(make_desk):
    desk = make_desk(model_weight=0.3)
    desk.tick(desk.ready(market_mu=75.0))
    assert desk.model.scored_days() == ()
    wide = make_desk(model_weight=1.0)
    wide.tick(wide.ready(market_mu=75.0))
    narrow = make_desk(model_weight=0.0)
    narrow.tick(narrow.ready(market_mu=75.0))
    model, market, pooled = (
        [d.model.fair_probability(d.view, ticker) for ticker in d.tickers] for d in (wide, narrow, desk)
    )
    assert pooled == pytest.approx(pool(model, market, 0.3), abs=1e-9)


def test_no_signal_where_model_and_market_agree(make_desk):
    desk = make_desk()
    assert desk.tick(desk.ready(market_mu=74.3)) == []
    assert reason(desk) == "no edge"


@settings(max_examples=60, deadline=None)
@given(
    forecast=st.floats(66, 84),
    mu=st.floats(68, 82),
    sigma=st.floats(1.5, 5.0),
    half_spread=st.integers(20, 600),
)
def test_every_signal_has_its_edge_and_the_probabilities_sum_to_one(
    make_desk, forecast: float, mu: float, sigma: float, half_spread: int
):
    """Whatever the market looks like: a signal's claim beats its all-in cost by what it asks for."""
    desk = make_desk(model_weight=0.6)
    now = desk.ready(forecast, mu, sigma)
    desk.quote_normal(mu, sigma, now, half_spread)
    for signal in desk.tick(now + SECOND):
        book = desk.view.books[signal.ticker]
        price = book.offers(signal.outcome, 1)[0][0] / 10_000
        assert signal.probability - price - 0.07 * price * (1 - price) >= signal.min_edge
    fair = [desk.model.fair_probability(desk.view, ticker) for ticker in desk.tickers]
    if None not in fair:
        assert sum(fair) == pytest.approx(1.0, abs=1e-9)


# --- silence -----------------------------------------------------------------------------------


def test_a_model_blunter_than_the_market_is_silent(make_desk):
    """sigma 2.4 against a market of 1.8: the gap is model error (sharpness gate 1.15)."""
    desk = make_desk(model_weight=0.5)
    assert desk.tick(desk.ready(market_sigma=1.8)) == []
    assert reason(desk) == "the market is sharper than the model"


def test_no_signal_once_the_climate_day_has_begun(make_desk):
    """Local standard midnight is 05:00 UTC in June too (daylight time does not move it)."""
    desk = make_desk(model_weight=0.5)
    desk.ready()
    assert desk.day_start % DAY == 5 * HOUR
    desk.quote_normal(77.0, 2.4, desk.day_start - 2 * SECOND)
    assert desk.tick(desk.day_start - SECOND) != []
    desk.quote_normal(77.0, 2.4, desk.day_start)
    assert desk.tick(desk.day_start) == []
    assert reason(desk) == "the climate day has begun"
    assert desk.model.fair_probability(desk.view, desk.tickers[2]) is None


def test_entries_end_at_the_configured_hour_but_the_probability_stays(make_desk):
    """Exits may still ask what a position is worth when no new one may be opened."""
    desk = make_desk(model_weight=0.5, latest_entry_hours_before_day=6.0)
    desk.ready()
    late = desk.day_start - 6 * HOUR
    desk.quote_normal(77.0, 2.4, late)
    assert desk.tick(late) == []
    assert desk.model.fair_probability(desk.view, desk.tickers[2]) is not None


def test_a_stale_forecast_gives_neither_signal_nor_probability(make_desk):
    """Yesterday's run served again must not trade (age counts from the issue)."""
    desk = make_desk(model_weight=0.5, max_forecast_age_hours=6.0)
    now = desk.ready()
    assert desk.tick(now) != []
    late = desk.day_start - 17 * HOUR + 6 * HOUR + SECOND
    desk.quote_normal(77.0, 2.4, late)
    assert desk.model.fair_probability(desk.view, desk.tickers[2]) is None
    assert desk.tick(late) == []
    assert reason(desk) == "the forecast is stale"


def test_a_history_shorter_than_the_minimum_is_not_traded(make_desk):
    for days, expected in ((14, False), (15, True)):
        desk = make_desk(model_weight=0.5)
        desk.learn([0.0] * days)
        issued = desk.day_start - 17 * HOUR
        desk.handle(desk.forecast(74.3, issued))
        desk.list_markets()
        desk.quote_normal(77.0, 2.4, issued + 2 * HOUR)
        assert bool(desk.tick(issued + 3 * HOUR)) is expected
    assert reason(desk) == "signal"


def test_a_history_that_stopped_is_out_of_date(make_desk):
    desk = make_desk(model_weight=0.5, max_history_gap_days=1)
    assert desk.tick(desk.ready()) == []
    assert reason(desk) == "history is out of date"


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_a_one_sided_market_is_never_bought(make_desk, side: str):
    """The others still trade: the fitted normal stands in for the missing price in the consensus only."""
    desk = make_desk(model_weight=0.5)
    now = desk.ready()
    first = signals_by_market(desk.tick(now))
    best = next(iter(first))[0]
    book = desk.view.books[best]
    bid, ask = (None, book.best_ask) if side == "bid" else (book.best_bid, None)
    desk.quote(best, bid, ask, now + 2 * MINUTE)
    again = signals_by_market(desk.tick(now + 2 * MINUTE))
    assert again
    assert best not in {ticker for ticker, _ in again}


def test_too_many_one_sided_books_are_no_market(make_desk):
    desk = make_desk(model_weight=0.5)
    now = desk.ready()
    for ticker in desk.tickers[:3]:
        desk.quote(ticker, None, 4_500, now)
    assert desk.tick(now) == []
    assert reason(desk) == "the books are one-sided or fit no normal"


def test_a_lone_cheap_ask_is_an_opinion_of_the_market_but_nothing_to_trade(make_desk):
    """Far brackets often have no bid: their ask bounds the value, so the ladder can still be read."""
    desk = make_desk(model_weight=0.5)
    now = desk.ready()
    for ticker in (desk.tickers[0], desk.tickers[-1]):
        desk.quote(ticker, None, 300, now)
    said = {signal.ticker for signal in desk.tick(now)}
    assert not said & {desk.tickers[0], desk.tickers[-1]}
    assert reason(desk) != "the books are one-sided or fit no normal"


def test_an_incomplete_set_of_markets_is_not_traded(make_desk):
    desk = make_desk(model_weight=0.5)
    now = desk.ready()
    del desk.view.markets[desk.tickers[1]]
    assert desk.tick(now) == []
    assert reason(desk) == "the brackets do not cover every degree once"


def test_overlapping_brackets_are_not_traded(make_desk):
    desk = make_desk(model_weight=0.5)
    now = desk.ready()
    wrong = Strike(StrikeKind.BETWEEN, floor=73.0, cap=75.0)
    desk.view.markets[desk.tickers[2]] = replace(desk.view.markets[desk.tickers[2]], strike=wrong)
    assert desk.tick(now) == []
    assert reason(desk) == "the brackets do not cover every degree once"


def test_a_market_that_is_not_open_stops_the_event(make_desk):
    desk = make_desk(model_weight=0.5)
    now = desk.ready()
    closed = replace(desk.view.markets[desk.tickers[0]], status=MarketStatus.INACTIVE)
    desk.view.markets[desk.tickers[0]] = closed
    assert desk.tick(now) == []
    assert reason(desk) == "a market of the event is not open"


@pytest.mark.parametrize(
    ("rules", "trades"),
    [
        ("", True),
        ("highest temperature recorded in Central Park, New York for June 20", True),
        ("maximum temperature recorded at New York City (CLINYC)", True),
        ("highest temperature recorded at O'Hare, Chicago", False),
    ],
)
def test_rules_that_name_another_place_block_the_event(make_desk, rules: str, trades: bool):
    desk = make_desk(model_weight=0.5)
    now = desk.ready()
    desk.list_markets(rules_primary=rules)
    assert bool(desk.tick(now)) is trades


def test_a_missing_invalid_or_crossed_book_stops_the_event(make_desk):
    for spoil in (
        lambda desk: desk.view.books.pop(desk.tickers[0]),
        lambda desk: desk.view.books[desk.tickers[0]].invalidate(),
        lambda desk: desk.quote(desk.tickers[0], 5_000, 4_000, desk.view.now),
    ):
        desk = make_desk(model_weight=0.5)
        now = desk.ready()
        spoil(desk)
        assert desk.tick(now) == []
        assert reason(desk) == "a book is not valid"


def test_an_invalidated_book_takes_the_probability_away(make_desk):
    desk = make_desk(model_weight=0.5)
    now = desk.ready()
    desk.tick(now)
    assert desk.model.fair_probability(desk.view, desk.tickers[2]) is not None
    desk.handle(BookInvalid((desk.tickers[0],), "gap", now + SECOND))
    assert desk.model.fair_probability(desk.view, desk.tickers[2]) is None


@pytest.mark.parametrize("feed", ["weather", "weather:nbm"])
def test_a_source_whose_feed_is_down_is_not_used(make_desk, feed: str):
    """A newer forecast may exist that we have not seen."""
    desk = make_desk(model_weight=0.5)
    now = desk.ready()
    desk.handle(FeedDown(feed, "timeout", now))
    assert desk.tick(now) == []
    assert reason(desk) == "the forecast's feed is down"
    desk.handle(FeedUp(feed, now + SECOND))
    desk.quote_normal(77.0, 2.4, now + 2 * SECOND)
    assert desk.tick(now + 2 * SECOND) != []


@pytest.mark.parametrize("value", [float("nan"), -459.0, 9999.0])
def test_an_implausible_forecast_changes_nothing(make_desk, value: float):
    desk = make_desk(model_weight=0.5)
    now = desk.ready()
    before = desk.tick(now)
    assert desk.handle(desk.forecast(value, desk.day_start - 16 * HOUR)) == []
    assert desk.model.skips["an implausible forecast"] == 1
    desk.quote_normal(77.0, 2.4, now + 2 * MINUTE)
    assert [s.signal_id for s in desk.tick(now + 2 * MINUTE)] == [s.signal_id for s in before]


def test_a_forecast_further_than_a_day_and_a_half_ahead_is_not_used(make_desk):
    desk = make_desk(model_weight=0.5)
    desk.learn([0.0] * 30)
    issued = desk.day_start - 30 * HOUR
    desk.handle(desk.forecast(74.3, issued, lead_days=2.0))
    desk.list_markets()
    desk.quote_normal(77.0, 2.4, desk.day_start - 15 * HOUR)
    assert desk.tick(desk.day_start - 15 * HOUR) == []
    assert reason(desk) == "no forecast"


# --- waking, repeating, choosing ---------------------------------------------------------------


def test_it_wakes_on_a_forecast_and_on_changed_books_only(make_desk):
    desk = make_desk(model_weight=0.5)
    now = desk.ready()
    first = desk.tick(now)
    assert first
    assert desk.tick(now + 5 * MINUTE) == []
    newer = desk.handle(desk.forecast(73.9, desk.day_start - 15 * HOUR))
    assert newer
    assert {s.cause_id for s in newer}.isdisjoint({s.cause_id for s in first})


def test_the_same_opinion_is_repeated_at_most_once_a_minute(make_desk):
    desk = make_desk(model_weight=0.5)
    now = desk.ready()
    first = desk.tick(now)
    desk.quote_normal(77.0, 2.4, now + SECOND)
    assert desk.tick(now + SECOND) == []
    desk.quote_normal(77.0, 2.4, now + MINUTE)
    assert [s.signal_id for s in desk.tick(now + MINUTE)] == [s.signal_id for s in first]


def test_a_repeated_or_older_forecast_changes_nothing(make_desk):
    desk = make_desk(model_weight=0.5)
    now = desk.ready()
    desk.tick(now)
    fair = desk.model.fair_probability(desk.view, desk.tickers[2])
    same = replace(desk.forecast(74.3, desk.day_start - 17 * HOUR), ts_recv=now + HOUR)
    assert desk.handle(same) == []
    older = replace(desk.forecast(90.0, desk.day_start - 18 * HOUR), ts_recv=now + HOUR)
    assert desk.handle(older) == []
    assert desk.model.fair_probability(desk.view, desk.tickers[2]) == fair


def test_the_second_source_is_used_when_the_first_has_no_history(make_desk):
    desk = make_desk(model_weight=0.5, sources=("gfs", "nbm"))
    now = desk.ready()
    desk.handle(desk.forecast(60.0, desk.day_start - 17 * HOUR, source="gfs"))
    signals = desk.tick(now)
    assert signals
    assert all(signal.cause_id.startswith("forecast:nbm:") for signal in signals)


def test_other_series_and_unknown_tickers_are_ignored(make_desk):
    desk = make_desk()
    now = desk.ready()
    desk.tick(now)
    foreign = replace(desk.forecast(50.0, desk.day_start - HOUR), series_ticker="KXHIGHCHI", station="KMDW")
    assert desk.handle(foreign) == []
    assert desk.quote("KXOTHER-1", 4_000, 6_000, now) == []
    assert desk.tick(now + SECOND) == []
    assert desk.model.fair_probability(desk.view, "KXOTHER-1") is None


# --- no look-ahead, determinism ----------------------------------------------------------------


def month_of_trading(desk, outcomes: list[int]):
    """Thirty learned days, then one event a day: forecast, books, tick; its outcome the morning after."""
    desk.learn([0.0] * 30)
    first = desk.day_start
    days = [f"2026-06-{20 + offset}" for offset in range(len(outcomes))]
    happenings = []
    signals = []
    for offset, (day, tmax_f) in enumerate(zip(days, outcomes, strict=True)):
        start = first + offset * DAY
        happenings.append((start - 16 * HOUR, day, None))
        happenings.append((start + 30 * HOUR, day, tmax_f))
    for ts, day, tmax_f in sorted(happenings, key=lambda item: item[0]):
        if tmax_f is not None:
            desk.handle(DailyMaximum("KXHIGHNY", "KNYC", day, tmax_f, True, ts, ts))
            continue
        desk.day = day
        desk.list_markets()
        desk.handle(desk.forecast(74.3, ts - HOUR))
        desk.quote_normal(77.0, 2.4, ts)
        signals += desk.tick(ts + SECOND)
    return signals


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(60, 90), min_size=8, max_size=8),
    st.lists(st.integers(60, 90), min_size=8, max_size=8),
    st.integers(0, 7),
)
def test_outcomes_not_yet_known_change_nothing(make_desk, one: list[int], other: list[int], known: int):
    """Two worlds with the same first outcomes say the same, to the bit, until the next one is known."""
    other = one[:known] + other[known:]
    signals, others = (month_of_trading(make_desk(model_weight=0.5), world) for world in (one, other))
    horizon = make_desk().day_start + known * DAY + 30 * HOUR
    until = [signal for signal in signals if signal.ts < horizon]
    assert until
    assert until == [signal for signal in others if signal.ts < horizon]


def test_outcomes_do_matter_once_known(make_desk):
    """The counterpart of the test above: it would pass for a model that learns nothing."""
    warm, cold = (month_of_trading(make_desk(model_weight=0.5), [tmax_f] * 8) for tmax_f in (78, 70))
    assert warm[-1].details["bias"] < warm[0].details["bias"] < cold[-1].details["bias"]


def test_a_preliminary_maximum_is_not_an_outcome(make_desk):
    """The afternoon report may still rise: learning from it would bias the model."""
    desk = make_desk(model_weight=0.5)
    now = desk.ready()
    desk.handle(DailyMaximum("KXHIGHNY", "KNYC", "2026-06-18", 20, False, now, now))
    assert desk.tick(now)[0].details["bias"] == pytest.approx(0.0)


def test_a_forecast_made_during_its_day_is_not_the_one_that_is_judged(make_desk):
    """The error belongs to the day-ahead forecast: a later, better one would flatter the source."""
    desk = make_desk(model_weight=0.5)
    desk.learn([3.0] * 30)
    issued = desk.day_start - 17 * HOUR
    for offset in range(2, 32):
        start = desk.day_start - offset * DAY
        day = f"2026-{'06' if offset < 20 else '05'}-{20 - offset if offset < 20 else 51 - offset:02d}"
        desk.handle(replace(desk.forecast(67.0, start + HOUR, day=day, lead_days=0.9), ts_recv=issued))
    desk.handle(desk.forecast(77.3, issued))
    desk.list_markets()
    desk.quote_normal(77.0, 2.4, issued + 2 * HOUR)
    signal = desk.tick(issued + 2 * HOUR)[0]
    assert signal.details["bias"] == pytest.approx(3.0)
    assert signal.details["mu"] == pytest.approx(74.3)


def test_the_same_messages_give_the_same_signals(make_desk):
    """Determinism: a replay of the journal must reproduce every decision."""
    one, two = make_desk(model_weight=0.5), make_desk(model_weight=0.5)
    assert one.tick(one.ready()) == two.tick(two.ready())


def test_the_whole_history_delivered_twice_changes_nothing(make_desk):
    once, twice = make_desk(model_weight=0.5), make_desk(model_weight=0.5)
    twice.learn([0.0] * 30)
    assert once.tick(once.ready()) == twice.tick(twice.ready())


def test_it_is_a_strategy_by_name(make_desk):
    model: WeatherModel = make_desk().model
    assert model.name == "weather_model"
