"""The gate to live trading: scored days, the clustered regression, and what is still missing."""

from __future__ import annotations

import random

import pytest

from src.core.errors import ConfigError
from src.core.events import DailyMaximum
from src.core.units import DAY, HOUR
from src.edge_detection.weather_config import WeatherConfig
from src.edge_detection.weather_evidence import ScoredDay, weigh


def world(days: int, skilled: bool, seed: int = 7):
    """Days on which the truth follows the model's (skilled) or the market's probabilities."""
    draw = random.Random(seed)
    scored = []
    for number in range(days):
        model, market = ([draw.random() + 0.05 for _ in range(6)] for _ in range(2))
        model, market = ([value / sum(raw) for value in raw] for raw in (model, market))
        winner = draw.choices(range(6), weights=model if skilled else market)[0]
        scored.append(ScoredDay(f"E{number}", "KNYC", f"D{number}", tuple(model), tuple(market), winner))
    return scored


def test_a_model_that_knows_something_passes():
    evidence = weigh(world(300, skilled=True))
    assert evidence.missing(300) == ()
    assert 0.7 < evidence.coefficient < 1.3
    assert evidence.coefficient_lower95 > 0.4
    assert evidence.brier_model < evidence.brier_market


def test_a_model_that_adds_nothing_does_not_pass():
    evidence = weigh(world(300, skilled=False))
    assert evidence.coefficient_lower95 <= 0.0
    assert evidence.brier_model > evidence.brier_market
    assert len(evidence.missing(300)) == 1
    assert "lower bound above 0" in evidence.missing(300)[0]


def test_too_few_days_are_counted_in_words():
    assert "299 more scored city-days (has 1)" in weigh(world(1, skilled=True)).missing(300)[0]
    assert weigh([]).missing(300) == (
        "300 more scored city-days (has 0)",
        "a fitted model coefficient",
    )


def test_cities_of_one_day_are_one_cluster():
    """Copies of the same day in another city add rows, not confidence."""
    single = weigh(world(100, skilled=True))
    doubled = weigh([day for day in world(100, skilled=True) for _ in range(2)])
    assert doubled.coefficient == pytest.approx(single.coefficient)
    assert doubled.coefficient_lower95 == pytest.approx(single.coefficient_lower95, abs=1e-6)


def test_a_model_equal_to_the_market_cannot_be_fitted():
    """The two logits are then one variable: no coefficient is better than an arbitrary one."""
    same = [
        ScoredDay(day.event_ticker, day.station, day.date, day.market, day.market, day.winner)
        for day in world(50, skilled=True)
    ]
    assert weigh(same).coefficient is None


def test_live_mode_without_evidence_is_silent_and_says_why(make_desk):
    desk = make_desk(model_weight=0.5, require_live_history=True)
    assert desk.tick(desk.ready()) == []
    status = desk.model.status()
    assert status[desk.event_ticker] == "live evidence is missing"
    assert status["live"].startswith("needs 300 more scored city-days (has 0)")


def test_live_mode_with_evidence_trades(make_desk):
    desk = make_desk(world(300, skilled=True), model_weight=0.5, require_live_history=True)
    assert desk.tick(desk.ready()) != []
    assert desk.model.status()["live"] == "ready"


def test_the_last_look_before_the_day_is_scored_once_the_maximum_is_final(make_desk):
    desk = make_desk(model_weight=0.5)
    now = desk.ready()
    desk.tick(now)
    fair = {ticker: desk.model.fair_probability(desk.view, ticker) for ticker in desk.tickers}
    end = desk.day_start + DAY
    desk.handle(DailyMaximum("KXHIGHNY", "KNYC", desk.day, 74, False, end, end))
    assert desk.model.scored_days() == ()
    for _ in range(2):
        desk.handle(DailyMaximum("KXHIGHNY", "KNYC", desk.day, 75, True, end + HOUR, end + HOUR))
    (day,) = desk.model.scored_days()
    assert (day.event_ticker, day.station, day.date, day.winner) == (desk.event_ticker, "KNYC", desk.day, 2)
    assert sum(day.model) == pytest.approx(1.0)
    assert sum(day.market) == pytest.approx(1.0)
    assert fair[desk.tickers[2]] is not None
    assert desk.event_ticker not in desk.model.status()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("series", ()),
        ("series", ("KXNOWHERE",)),
        ("sources", ()),
        ("model_weight", 1.5),
        ("min_history_days", 1),
        ("max_forecast_age_hours", 0.0),
        ("min_edge", -0.01),
    ],
)
def test_a_bad_setting_is_refused_with_its_name(field: str, value: object):
    good = {"series": ("KXHIGHNY",), "sources": ("nbm",)}
    with pytest.raises(ConfigError, match="KXNOWHERE" if value == ("KXNOWHERE",) else field):
        WeatherConfig(**{**good, field: value})
