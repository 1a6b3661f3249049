"""The generated crowd at work on one event: a market maker per market, noise takers, the final word.

Each market has one maker that quotes 2 to 4 cents around the crowd's probability (less near 0 and 1)
with several levels of varying size. It re-quotes every few minutes, more slowly at night and in
markets that are all but decided, and in every market whose touch moves when the crowd digests news.
Noise takers arrive by a Poisson process, small, on either side. Nothing happens after the close except
the final report and the determination.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from random import Random
from typing import TypeAlias

from src.core.events import DailyMaximum, ForecastUpdate, Levels, ObservationUpdate
from src.core.market import Market, Strike
from src.core.sides import BookSide
from src.core.units import CENT_PRICE, DOLLAR_PRICE, HOUR, MINUTE, ONE_CONTRACT, SECOND, Count, Nanos, Price
from src.simulator.generated_belief import REACTION_MINUTES, CrowdBelief, whole_degree_range
from src.simulator.world import CrowdQuote, CrowdTake, Determine, ListEvent, WeatherNews, WorldEvent

WeatherItem: TypeAlias = ForecastUpdate | ObservationUpdate | DailyMaximum
_Step: TypeAlias = Callable[[Nanos], Iterable[WorldEvent]]

_LEVELS = 3
_DECIDED = 0.004
_NEARLY_DECIDED = 0.03
_TAKES_PER_HOUR = 1.0


def digestion_delay(rng: Random, item: WeatherItem) -> Nanos:
    """How long the crowd takes to act on news: forecasts slowly, facts within minutes."""
    if isinstance(item, ForecastUpdate):
        return int(rng.uniform(*REACTION_MINUTES) * MINUTE)
    return int(rng.uniform(60, 180) * SECOND)


class MarketMaker:
    """The crowd's resting orders in one market."""

    def __init__(self, rng: Random, ticker: str) -> None:
        self.ticker = ticker
        self.bid: Price = 0
        self.ask: Price = DOLLAR_PRICE
        self._rng = rng
        self._width = rng.uniform(0.3, 2.0)
        self._sizes: dict[tuple[BookSide, Price], Count] = {}

    def requote(self, ts: Nanos, probability: float) -> CrowdQuote:
        """A periodic re-quote: a new width, and new size at the touch."""
        self._width = self._rng.uniform(0.3, 2.0)
        self._aim(probability)
        for side, price in ((BookSide.BID, self.bid), (BookSide.ASK, self.ask)):
            self._sizes[side, price] = self._new_size()
        return self._quote(ts)

    def follow(self, ts: Nanos, probability: float) -> CrowdQuote | None:
        """A new quote if the probability moved the touch, else ``None``."""
        before = (self.bid, self.ask)
        self._aim(probability)
        return None if (self.bid, self.ask) == before else self._quote(ts)

    def _aim(self, probability: float) -> None:
        """Touch prices in whole cents; 0 and 1 dollar mean no order on that side."""
        half = (0.8 + self._width * math.sqrt(4 * probability * (1 - probability))) / 2
        self.bid = max(0, math.floor(100 * probability - half)) * CENT_PRICE
        self.ask = min(100, math.ceil(100 * probability + half)) * CENT_PRICE

    def _quote(self, ts: Nanos) -> CrowdQuote:
        return CrowdQuote(ts, self.ticker, self._levels(BookSide.BID), self._levels(BookSide.ASK))

    def _levels(self, side: BookSide) -> Levels:
        touch, step = (self.bid, -CENT_PRICE) if side is BookSide.BID else (self.ask, CENT_PRICE)
        prices = [price for n in range(_LEVELS) if 0 < (price := touch + n * step) < DOLLAR_PRICE]
        for price in prices:
            if (side, price) not in self._sizes:
                self._sizes[side, price] = self._new_size()
        return tuple((price, self._sizes[side, price]) for price in prices)

    def _new_size(self) -> Count:
        return int(min(400, 10 + self._rng.expovariate(1 / 60))) * ONE_CONTRACT


class EventSession:
    """One event's life from listing to determination, as an ordered stream of world events."""

    def __init__(
        self,
        stream: Callable[[str], Random],
        belief: CrowdBelief,
        listed: ListEvent,
        digestions: Iterable[tuple[Nanos, WeatherItem]],
        determine_ts: Nanos,
        maximum_f: int,
    ) -> None:
        """``stream(purpose)`` gives an independent random stream.

        ``digestions``: when the crowd acts on each item of news, for all it has not digested before the
        listing; items published after the listing are announced by the session.
        """
        self._belief = belief
        self._listed = listed
        self._close = listed.markets[0].close_time
        self._maximum_f = maximum_f
        self._strikes: list[Strike] = [m.strike for m in listed.markets if m.strike is not None]
        self._rngs = [stream(f"market{n}") for n in range(len(listed.markets))]
        self._makers = [MarketMaker(rng, m.ticker) for rng, m in zip(self._rngs, listed.markets, strict=True)]
        self._agenda: list[tuple[Nanos, int, _Step]] = []
        self._scheduled = 0
        for digested, item in digestions:
            if item.ts_recv >= listed.ts:
                self._at(item.ts_recv, partial(self._publish, item))
            if digested < self._close:
                self._at(digested, partial(self._digest, item))
        for n in range(len(self._makers)):
            self._at(listed.ts + (n + 1) * SECOND, partial(self._requote, n))
            self._at(self._next_take(n, listed.ts), partial(self._take, n))
        self._at(determine_ts, self._determine)

    def events(self) -> Iterator[WorldEvent]:
        """The stream. Consumes the session."""
        yield self._listed
        while self._agenda:
            ts, _, step = heapq.heappop(self._agenda)
            yield from step(ts)

    def _at(self, ts: Nanos, step: _Step) -> None:
        self._scheduled += 1
        heapq.heappush(self._agenda, (ts, self._scheduled, step))

    def _publish(self, item: WeatherItem, ts: Nanos) -> Iterator[WorldEvent]:
        yield WeatherNews(ts, item)

    def _digest(self, item: WeatherItem, ts: Nanos) -> Iterator[WorldEvent]:
        self._belief.digest(item)
        for maker, probability in zip(
            self._makers, self._belief.probabilities(self._strikes, ts), strict=True
        ):
            quote = maker.follow(ts, probability)
            if quote is not None:
                yield quote

    def _requote(self, number: int, ts: Nanos) -> Iterator[WorldEvent]:
        probability = self._belief.probabilities(self._strikes, ts)[number]
        yield self._makers[number].requote(ts, probability)
        following = ts + self._pause(number, ts, min(probability, 1 - probability))
        if following < self._close:
            self._at(following, partial(self._requote, number))

    def _pause(self, number: int, ts: Nanos, doubt: float) -> Nanos:
        """Time to the next re-quote; ``doubt`` is the distance of the probability from certainty."""
        if doubt < _DECIDED:
            low, high = 90.0, 150.0
        elif doubt < _NEARLY_DECIDED:
            low, high = 20.0, 40.0
        else:
            low, high = 5.0, 10.0
            hours_to_close = (self._close - ts) / HOUR
            if 16 < hours_to_close < 26:
                low, high = 12.0, 24.0
        return int(self._rngs[number].uniform(low, high) * MINUTE)

    def _next_take(self, number: int, ts: Nanos) -> Nanos:
        return ts + int(self._rngs[number].expovariate(_TAKES_PER_HOUR) * HOUR)

    def _take(self, number: int, ts: Nanos) -> Iterator[WorldEvent]:
        if ts >= self._close:
            return
        rng, maker = self._rngs[number], self._makers[number]
        side = rng.choice((BookSide.BID, BookSide.ASK))
        count = int(min(50, 1 + rng.expovariate(1 / 8))) * ONE_CONTRACT
        if side is BookSide.BID and maker.ask < DOLLAR_PRICE:
            price = min(maker.ask + CENT_PRICE, DOLLAR_PRICE - CENT_PRICE)
            yield CrowdTake(ts, maker.ticker, side, price, count)
        elif side is BookSide.ASK and maker.bid > 0:
            price = max(maker.bid - CENT_PRICE, CENT_PRICE)
            yield CrowdTake(ts, maker.ticker, side, price, count)
        self._at(self._next_take(number, ts), partial(self._take, number))

    def _determine(self, ts: Nanos) -> Iterator[WorldEvent]:
        for market, strike in zip(self._listed.markets, self._strikes, strict=True):
            yield self._determination(ts, market, strike)

    def _determination(self, ts: Nanos, market: Market, strike: Strike) -> Determine:
        low, high = whole_degree_range(strike)
        paid = (low is None or self._maximum_f >= low) and (high is None or self._maximum_f <= high)
        return Determine(
            ts,
            market.ticker,
            "yes" if paid else "no",
            DOLLAR_PRICE if paid else 0,
            f"{self._maximum_f}.00",
        )
