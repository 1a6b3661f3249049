"""Worlds seen through a filter: cut off at a time, dearer to trade in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from src.core.events import DailyMaximum, ForecastUpdate, Levels
from src.core.sides import BookSide
from src.core.units import DOLLAR_PRICE, Nanos, Price
from src.simulator.world import CrowdQuote, ListEvent, World, WorldEvent


class Filtered:
    """A world whose events pass through ``events`` of a subclass."""

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
        """The world's own."""
        return self._world.events()


class Truncated(Filtered):
    """A world that ends at ``until``: nothing after that exists."""

    def __init__(self, world: World, until: Nanos) -> None:
        super().__init__(world)
        self.end = min(world.end, until)

    def events(self) -> Iterator[WorldEvent]:
        """What happens up to and including the end."""
        for event in self._world.events():
            if event.ts > self.end:
                return
            yield event


class Dearer(Filtered):
    """A world with its fees multiplied and every quote moved away from the middle.

    ``fee_multiplier``: 1.0 leaves fees as they are; ``worse``: 1e-4 dollars added to every ask and taken
    off every bid (levels pushed off the grid vanish), a multiple of the market's tick.
    """

    def __init__(self, world: World, fee_multiplier: float = 1.0, worse: Price = 0) -> None:
        super().__init__(world)
        self._fees = fee_multiplier
        self._worse = worse

    def events(self) -> Iterator[WorldEvent]:
        """The world's events, repriced."""
        for event in self._world.events():
            if isinstance(event, ListEvent) and self._fees != 1.0:
                yield self._reprice(event)
            elif isinstance(event, CrowdQuote) and self._worse:
                bids = _moved(event.bids, BookSide.BID, self._worse)
                yield replace(event, bids=bids, asks=_moved(event.asks, BookSide.ASK, self._worse))
            else:
                yield event

    def _reprice(self, event: ListEvent) -> ListEvent:
        markets = tuple(
            replace(
                market,
                fees=replace(market.fees, multiplier_e4=round(market.fees.multiplier_e4 * self._fees)),
            )
            for market in event.markets
        )
        return replace(event, markets=markets)


def _moved(levels: Levels, side: BookSide, worse: Price) -> Levels:
    moved = ((price - side.sign * worse, size) for price, size in levels)
    return tuple((price, size) for price, size in moved if 0 < price < DOLLAR_PRICE)
