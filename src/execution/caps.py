"""The caps: how much more an entry may cost, by the limit that says so. Orders count as filled in all."""

from __future__ import annotations

from src.core.stations import distance_km
from src.core.units import Cash
from src.execution.exposure import Line
from src.execution.limits import CorrelatedGroup, RiskLimits
from src.execution.risk_context import Cap, RiskContext

# A cap that does not concern the signal.
_NO_LIMIT: Cash = 10**18


def _share(c: RiskContext, share: float) -> Cash:
    return int(share * c.equity) if c.equity > 0 else 0


def _position(c: RiskContext, limits: RiskLimits) -> Cash:
    return limits.max_position - c.exposure.cost(lambda line: line.ticker == c.signal.ticker)


def _event(c: RiskContext, limits: RiskLimits) -> Cash:
    event = c.place.event_ticker
    used = c.exposure.worst_case(lambda line: line.place.event_ticker == event)
    return _share(c, limits.max_event) - used


def _city(c: RiskContext, limits: RiskLimits) -> Cash:
    station = c.place.station
    if station is None:
        return _NO_LIMIT
    used = c.exposure.worst_case(lambda line: line.place.station == station)
    return _share(c, limits.max_city) - used


def _region(c: RiskContext, limits: RiskLimits) -> Cash:
    """Neighbouring cities on the same climate day: one front decides about all of them."""
    station, day = c.place.station, c.place.day
    if station is None or day is None:
        return _NO_LIMIT

    def is_near(line: Line) -> bool:
        other = line.place.station
        near = other is not None and distance_km(station, other) <= limits.neighbour_km
        return near and line.place.day == day

    return _share(c, limits.max_region) - c.exposure.worst_case(is_near)


def _category(c: RiskContext, limits: RiskLimits) -> Cash:
    # Markets of no known category share one: unknown is not uncorrelated.
    used = c.exposure.worst_case(lambda line: line.place.category == c.place.category)
    return _share(c, limits.max_category) - used


def _strategy(c: RiskContext, limits: RiskLimits) -> Cash:
    used = c.exposure.worst_case(lambda line: line.strategy == c.signal.strategy)
    return _share(c, limits.max_strategy) - used


def _groups(c: RiskContext, limits: RiskLimits) -> Cash:
    """The tightest of the configured groups that the series is in."""
    rooms = [_group(c, group) for group in limits.groups if c.place.series_ticker in group.series]
    return min(rooms, default=_NO_LIMIT)


def _group(c: RiskContext, group: CorrelatedGroup) -> Cash:
    used = c.exposure.worst_case(lambda line: line.place.series_ticker in group.series)
    return _share(c, group.max_share) - used


def _heat(c: RiskContext, limits: RiskLimits) -> Cash:
    return _share(c, limits.max_portfolio_heat) - c.exposure.worst_case()


def _daily_loss(c: RiskContext, limits: RiskLimits) -> Cash:
    # The worst that can still happen today must stay above the limit. Today's loss is measured on bids,
    # which know of no offset between brackets, so no offset is taken here either.
    return limits.max_daily_loss + min(0, c.control.equity.day_pnl) - c.exposure.cost()


def _cash(c: RiskContext, _: RiskLimits) -> Cash:
    return c.spendable


def _shard_cash(c: RiskContext, _: RiskLimits) -> Cash:
    return _NO_LIMIT if c.shard_spendable is None else c.shard_spendable


CAPS = (
    Cap("max_position", _position),
    Cap("max_event", _event),
    Cap("max_city", _city),
    Cap("max_region", _region),
    Cap("max_category", _category),
    Cap("max_strategy", _strategy),
    Cap("correlated_group", _groups),
    Cap("portfolio_heat", _heat),
    Cap("daily_loss", _daily_loss),
    Cap("cash", _cash),
    Cap("shard_cash", _shard_cash),
)
