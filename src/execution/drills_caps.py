"""One synthetic violation for each cap: what is held already uses it up, or there is no cash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from src.core.events import MarketUpdate
from src.core.stations import STATIONS, distance_km, station_for_series
from src.core.units import DOLLAR_CASH, Cash
from src.execution.drill_bench import Bench, GateDrill
from src.execution.drill_props import (
    ELSEWHERE,
    EVENT,
    NOW,
    SERIES,
    TICKER,
    Held,
    group_of,
    market,
    only,
    signal,
)
from src.execution.limits import RiskLimits

_SMALL: Cash = 1_000 * DOLLAR_CASH
_MUCH: Cash = 2_000 * DOLLAR_CASH
_SIBLING = f"{EVENT}-B82.5"


def _cap(
    control: str, held: Callable[[RiskLimits], Held], prepare: Callable[[RiskLimits], RiskLimits]
) -> GateDrill:
    """A cap that what is held already uses up; with one contract held instead there is room."""

    def play(limits: RiskLimits) -> str:
        return Bench(prepare(limits), [held(limits)], balance=_SMALL).say(signal())

    def clean(limits: RiskLimits) -> str:
        little = replace(held(limits), cost=1)  # one contract
        return Bench(prepare(limits), [little], balance=1_000 * _SMALL).say(signal())

    return GateDrill(control, control, play, clean)


def _neighbour(limits: RiskLimits) -> str:
    """A market of another city nearby on the same day; of the same event where no city is that near."""
    here = station_for_series(SERIES)
    others = [station for station in STATIONS if station is not here]
    nearest = min(others, key=lambda station: distance_km(here, station))
    if distance_km(here, nearest) > limits.neighbour_km:
        return _SIBLING
    return f"{nearest.series_ticker}-26JUN16-B80.5"


def _no_cash(limits: RiskLimits, balance: Cash) -> str:
    return Bench(only(limits), [Held(ELSEWHERE, _MUCH, quote=(4_900, 5_100))], balance=balance).say(signal())


def _no_cash_on_the_shard(limits: RiskLimits, elsewhere: Cash, here: Cash) -> str:
    shards = ((0, elsewhere), (1, here))
    bench = Bench(only(limits), balance=elsewhere + here, shards=shards)
    bench.hear(MarketUpdate(market(TICKER, shard=1), NOW))
    return bench.say(signal())


CAP_DRILLS: tuple[GateDrill, ...] = (
    _cap(
        "max_position",
        lambda limits: Held(TICKER, limits.max_position, quote=None),
        lambda limits: only(limits, "max_position"),
    ),
    _cap("max_event", lambda _: Held(_SIBLING, _MUCH), lambda limits: only(limits, "max_event")),
    _cap(
        "max_city",
        lambda _: Held(f"{SERIES}-26JUN17-B80.5", _MUCH),
        lambda limits: only(limits, "max_city"),
    ),
    _cap(
        "max_region",
        lambda limits: Held(_neighbour(limits), _MUCH),
        lambda limits: only(limits, "max_region", "neighbour_km"),
    ),
    _cap(
        "max_category",
        lambda _: Held("KXHIGHLAX-26JUN18-B80.5", _MUCH),
        lambda limits: only(limits, "max_category"),
    ),
    _cap("max_strategy", lambda _: Held(ELSEWHERE, _MUCH), lambda limits: only(limits, "max_strategy")),
    _cap(
        "correlated_group",
        lambda _: Held(ELSEWHERE, _MUCH),
        lambda limits: replace(only(limits), groups=(group_of(limits),)),
    ),
    _cap(
        "portfolio_heat",
        lambda _: Held(ELSEWHERE, _MUCH),
        lambda limits: only(limits, "max_portfolio_heat"),
    ),
    _cap(
        "daily_loss",
        lambda limits: Held(ELSEWHERE, limits.max_daily_loss),
        lambda limits: only(limits, "max_daily_loss"),
    ),
    GateDrill("cash", "cash", lambda limits: _no_cash(limits, 0), lambda limits: _no_cash(limits, _SMALL)),
    GateDrill(
        "shard_cash",
        "shard_cash",
        lambda limits: _no_cash_on_the_shard(limits, _SMALL, 0),
        lambda limits: _no_cash_on_the_shard(limits, 0, _SMALL),
    ),
)
