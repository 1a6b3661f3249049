"""What can still be lost, line by line: positions at cost, orders at their reserve, as if already filled.

Every cap (event, city, category, ...) is a sum over some of these lines, so that concurrent intents add up
for each of them before any fill.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from src.core.errors import WireError
from src.core.stations import Station, event_date, known_station
from src.core.units import DOLLAR_PRICE, Cash, Count
from src.execution.market_state import MarketState
from src.execution.orders import OrderRegister
from src.execution.portfolio import Portfolio

WEATHER_CATEGORY = "Climate and Weather"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a market belongs. ``station`` and ``day`` (ISO climate day) are None outside daily highs."""

    event_ticker: str
    series_ticker: str
    category: str
    station: Station | None
    day: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """A position or a live order. ``cost``: all-in cost, or what the order reserves (1e-6 dollars).

    ``count``: contracts (0.01) that are held and pay a dollar should ``is_yes`` come true; 0 for an order,
    which may fill or not, whichever is worse; ``ordered``: the contracts of an order.
    """

    ticker: str
    place: Place
    strategy: str
    is_yes: bool
    count: Count
    cost: Cash
    ordered: Count = 0

    def loss_if(self, winner: str) -> Cash:
        """Loss when the market ``winner`` pays and every other of the event does not."""
        wins = (self.ticker == winner) == self.is_yes
        if not wins:
            return self.cost
        return self.cost - self.count * DOLLAR_PRICE if self.count else 0


Test: TypeAlias = Callable[[Line], bool]


@dataclass(frozen=True, slots=True)
class Exposure:
    """All lines, and the events of which exactly one known market pays (event -> its tickers)."""

    lines: tuple[Line, ...]
    exclusive: Mapping[str, tuple[str, ...]]

    def cost(self, test: Test | None = None) -> Cash:
        """Everything lost at once, no offset between brackets."""
        return sum([line.cost for line in self.lines if test is None or test(line)])

    def worst_case(self, test: Test | None = None) -> Cash:
        """Most that can be lost at settlement: the worst outcome of each exclusive event, sums elsewhere."""
        if not self.exclusive:
            return self.cost(test)
        total, by_event = 0, dict[str, list[Line]]()
        for line in self.lines:
            if test is not None and not test(line):
                continue
            event_ticker = line.place.event_ticker
            if event_ticker in self.exclusive:
                by_event.setdefault(event_ticker, []).append(line)
            else:
                total += line.cost
        return total + sum(self._worst_of(event, lines) for event, lines in by_event.items())

    def _worst_of(self, event_ticker: str, lines: list[Line]) -> Cash:
        winners = self.exclusive[event_ticker]
        return max(0, *(sum(line.loss_if(winner) for line in lines) for winner in winners))


def place_of(ticker: str, markets: MarketState) -> Place:
    """Where a market belongs; by the ticker's own grammar when it was never described."""
    market = markets.market(ticker)
    if market is not None:
        return _place(market.event_ticker, market.series_ticker, market.category)
    event_ticker = markets.event_of(ticker)
    return _place(event_ticker, event_ticker.partition("-")[0], "")


@lru_cache(maxsize=4_096)
def _place(event_ticker: str, series_ticker: str, category: str) -> Place:
    station = known_station(series_ticker)
    try:
        day = event_date(event_ticker) if station is not None else None
    except WireError:
        day = None
    known = category or (WEATHER_CATEGORY if station is not None else "")
    return Place(event_ticker, series_ticker, known, station, day)


def exposure_of(portfolio: Portfolio, orders: OrderRegister, markets: MarketState) -> Exposure:
    """The lines of an account as it stands, orders on their way and unaccounted fills included."""
    leaving: dict[str, Count] = {}
    lines: list[Line] = []
    for order in orders.live():
        intent = order.intent
        if order.reserved:
            is_yes = intent.side.sign > 0
            place = place_of(intent.ticker, markets)
            lines.append(
                Line(intent.ticker, place, intent.strategy, is_yes, 0, order.reserved, order.unaccounted)
            )
        else:
            # An exit may have sold what would have paid for the losses of other brackets.
            leaving[intent.ticker] = leaving.get(intent.ticker, 0) + order.unaccounted
    for position in portfolio.open_positions():
        ticker, count = position.ticker, position.count
        held = max(0, abs(count) - leaving.get(ticker, 0)) if leaving else abs(count)
        lines.append(
            Line(ticker, place_of(ticker, markets), position.strategy, count > 0, held, position.cost)
        )
    return Exposure(tuple(lines), _exclusive(lines, markets))


def _exclusive(lines: Iterable[Line], markets: MarketState) -> dict[str, tuple[str, ...]]:
    tickers_of: dict[str, set[str]] = {}
    for line in lines:
        tickers_of.setdefault(line.place.event_ticker, set()).add(line.ticker)
    found = {}
    for event_ticker, tickers in tickers_of.items():
        if len(tickers) > 1:  # one bracket alone offsets nothing
            ladder = markets.exclusive_ladder(event_ticker)
            if ladder is not None and tickers <= set(ladder):
                found[event_ticker] = ladder
    return found
