"""Worlds seen through a filter: cut off at a time, dearer to trade in."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from backtest.column_world import Chunk, ColumnWorld, columns_of
from src.core.events import DailyMaximum, ForecastUpdate, Levels
from src.core.sides import BookSide
from src.core.units import DOLLAR_PRICE, Nanos, Price
from src.simulator.world import (
    CrowdChange,
    CrowdQuote,
    Determine,
    Heard,
    ListEvent,
    WeatherNews,
    World,
    WorldEvent,
)

_OTHER = {"yes": "no", "no": "yes"}


class Filtered:
    """A world seen through a subclass: ``pass_on`` for its events, ``pass_rows`` for quotes in columns."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.kind = world.kind
        self.start: Nanos = world.start
        self.end: Nanos = world.end
        self.days = world.days
        # A world whose rows stand for bars still does when seen through a filter.
        self.bar: Nanos = getattr(world, "bar", 0)
        self.notes: tuple[str, ...] = tuple(getattr(world, "notes", ()))
        self.fill_model: str = getattr(world, "fill_model", "")

    def history(self) -> Iterable[ForecastUpdate | DailyMaximum]:
        """The world's own."""
        return self._world.history()

    def events(self) -> Iterator[WorldEvent]:
        """The world's own, passed on."""
        return self.pass_on(self._world.events())

    def pass_on(self, events: Iterator[WorldEvent]) -> Iterator[WorldEvent]:
        """What becomes of the events, by time."""
        return events

    # --- columns, where the world has them (``ColumnWorld``) -----------------------------------

    @property
    def has_quotes(self) -> bool:
        """Whether the world has its quotes in columns."""
        return columns_of(self._world) is not None

    @property
    def tickers(self) -> list[str]:
        """See ``ColumnWorld``."""
        return self._columns().tickers

    def chunks(self) -> Iterator[Chunk]:
        """See ``ColumnWorld``."""
        return map(self.pass_rows, self._columns().chunks())

    def milestones(self) -> Iterator[WorldEvent]:
        """See ``ColumnWorld``."""
        return self.pass_on(self._columns().milestones())

    def pass_rows(self, chunk: Chunk) -> Chunk:
        """What becomes of quotes in columns."""
        return chunk

    def _columns(self) -> ColumnWorld:
        columns = columns_of(self._world)
        if columns is None:
            raise AssertionError(f"a world of kind {self.kind} has no columns")
        return columns


class Truncated(Filtered):
    """A world that ends at ``until``: nothing after that exists."""

    def __init__(self, world: World, until: Nanos) -> None:
        super().__init__(world)
        self.end = min(world.end, until)

    def pass_on(self, events: Iterator[WorldEvent]) -> Iterator[WorldEvent]:
        """What happens up to and including the end."""
        for event in events:
            if event.ts > self.end:
                return
            yield event

    def chunks(self) -> Iterator[Chunk]:
        """The quotes up to and including the end."""
        for chunk in self._columns().chunks():
            kept = int(np.searchsorted(chunk["ts"], self.end, "right"))
            if kept:
                yield {name: column[:kept] for name, column in chunk.items()}
            if kept < len(chunk["ts"]):
                return


class OtherFuture(Filtered):
    """A world that is another one after ``cut``: what a decision before it must not depend on.

    ``later``: news, forecasts and maxima that follow become public so much later. ``turned``: yes-or-no
    results that follow are turned around.
    """

    def __init__(self, world: World, cut: Nanos, *, later: Nanos = 0, turned: bool = False) -> None:
        super().__init__(world)
        self._cut = cut
        self._later = later
        self._turned = turned

    def pass_on(self, events: Iterator[WorldEvent]) -> Iterator[WorldEvent]:
        """The world's events with another end."""
        waiting: deque[WeatherNews | Heard] = deque()
        for event in events:
            while waiting and waiting[0].ts <= event.ts:
                yield waiting.popleft()
            if event.ts <= self._cut:
                yield event
            elif self._later and isinstance(event, WeatherNews | Heard):
                waiting.append(_published(event, event.ts + self._later))
            elif self._turned and isinstance(event, Determine) and event.result in _OTHER:
                yield replace(
                    event, result=_OTHER[event.result], settlement_value=DOLLAR_PRICE - event.settlement_value
                )
            else:
                yield event


def _published(event: WeatherNews | Heard, ts: Nanos) -> WeatherNews | Heard:
    if isinstance(event, WeatherNews):
        return WeatherNews(ts, replace(event.item, ts_recv=ts))
    return Heard(ts, replace(event.item, ts_recv=ts))


class Dearer(Filtered):
    """A world with its fees multiplied, every quote moved away from the middle, and less on offer.

    ``fee_multiplier``: 1.0 leaves fees as they are; ``worse``: 1e-4 dollars added to every ask and taken
    off every bid (levels pushed off the grid vanish), a multiple of the market's tick; ``depth``: share of
    every displayed size that is really there.
    """

    def __init__(
        self, world: World, fee_multiplier: float = 1.0, worse: Price = 0, depth: float = 1.0
    ) -> None:
        super().__init__(world)
        self._fees = fee_multiplier
        self._worse = worse
        self._depth = depth

    def pass_on(self, events: Iterator[WorldEvent]) -> Iterator[WorldEvent]:
        """The world's events, repriced."""
        for event in events:
            if isinstance(event, ListEvent) and self._fees != 1.0:
                yield self._reprice(event)
            elif isinstance(event, CrowdQuote):
                bids = self._moved(event.bids, BookSide.BID)
                yield replace(event, bids=bids, asks=self._moved(event.asks, BookSide.ASK))
            elif isinstance(event, CrowdChange):
                price = event.price - event.side.sign * self._worse
                if 0 < price < DOLLAR_PRICE:
                    yield replace(event, price=price, delta=int(event.delta * self._depth))
            else:
                yield event

    def pass_rows(self, chunk: Chunk) -> Chunk:
        """The quotes, repriced."""
        moved = dict(chunk)
        for name, side in (("bid", BookSide.BID), ("ask", BookSide.ASK)):
            price = chunk[name] - side.sign * self._worse
            size = (chunk[f"{name}_size"] * self._depth).astype(np.int64)
            is_there = (price > 0) & (price < DOLLAR_PRICE) & (size > 0)
            moved[name], moved[f"{name}_size"] = np.where(is_there, price, 0), np.where(is_there, size, 0)
        return moved

    def _reprice(self, event: ListEvent) -> ListEvent:
        markets = tuple(
            replace(
                market,
                fees=replace(market.fees, multiplier_e4=round(market.fees.multiplier_e4 * self._fees)),
            )
            for market in event.markets
        )
        return replace(event, markets=markets)

    def _moved(self, levels: Levels, side: BookSide) -> Levels:
        moved = ((price - side.sign * self._worse, int(size * self._depth)) for price, size in levels)
        return tuple((price, size) for price, size in moved if 0 < price < DOLLAR_PRICE and size > 0)
