"""One market's order book with price-time priority: the YES side bids, the YES side asks.

Fill assumptions of the whole simulated exchange (what a resting or taking order may expect):

* An incoming order trades with the best opposite price first and, within a price, with the oldest
  lot first. It executes at the resting lot's price.
* An account's order joins the back of the queue at its price. When the crowd shrinks a level, its
  youngest lots leave first, so a cancellation in the crowd never moves an account's order forward.
* When the crowd enlarges a level the new size goes to the back of the queue.
* Lots taken from the crowd are gone until the world quotes that level again; accounts leave no other
  mark on the crowd's behaviour (no price impact beyond the lots they took).
* A recorded print reaches an account's order only strictly through its price.
* Every submission takes effect at the instant it arrives: the core adds no latency and no chance.

All prices are YES prices in 1e-4 dollars, counts are in 0.01 contract.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass

from src.core.events import Levels
from src.core.sides import BookSide
from src.core.units import Count, Price

CROWD = ""
# Going through the class itself is several times as slow, and every book does it.
_SIDES = (BookSide.BID, BookSide.ASK)


@dataclass(slots=True, eq=False)
class Lot:
    """Size resting at a price. ``owner`` is an account's key, or ``CROWD``."""

    order_id: str
    owner: str
    side: BookSide
    price: Price
    remaining: Count


@dataclass(frozen=True, slots=True)
class LevelChange:
    """Size at one price changed by ``delta``; ``lot`` is the lot that caused it."""

    side: BookSide
    price: Price
    delta: Count
    lot: Lot


class Ladder:
    """One side of a book: prices sorted so that the best is last, and a queue of lots at each."""

    __slots__ = ("_keys", "_queues", "_sign", "sizes")

    def __init__(self, side: BookSide) -> None:
        self._sign = side.sign
        self._keys: list[int] = []
        self._queues: dict[Price, dict[str, Lot]] = {}
        self.sizes: dict[Price, Count] = {}

    @property
    def best(self) -> Price | None:
        """Best price, or None when the side is empty."""
        return self._keys[-1] * self._sign if self._keys else None

    def prices(self) -> Iterator[Price]:
        """Prices, best first."""
        return (key * self._sign for key in reversed(self._keys))

    def queue(self, price: Price) -> list[Lot]:
        """Lots at ``price``, oldest first."""
        return list(self._queues.get(price, {}).values())

    def front(self) -> Lot:
        """The lot that trades next. The side must not be empty."""
        return next(iter(self._queues[self._keys[-1] * self._sign].values()))

    def add(self, lot: Lot) -> None:
        """Put a lot at the back of the queue at its price."""
        queue = self._queues.get(lot.price)
        if queue is None:
            queue = self._queues[lot.price] = {}
            self.sizes[lot.price] = 0
            insort(self._keys, lot.price * self._sign)
        queue[lot.order_id] = lot
        self.sizes[lot.price] += lot.remaining

    def youngest(self, price: Price) -> Lot | None:
        """The lot at the back of the queue at ``price``, or None."""
        queue = self._queues.get(price)
        return queue[next(reversed(queue))] if queue else None

    def enlarge(self, lot: Lot, count: Count) -> None:
        """Add ``count`` to a lot where it stands."""
        lot.remaining += count
        self.sizes[lot.price] += count

    def reduce(self, lot: Lot, count: Count) -> None:
        """Take ``count`` off a lot and drop it, and its level, when nothing is left."""
        if not 0 < count <= lot.remaining:
            raise ValueError(f"cannot take {count} from a lot of {lot.remaining}")
        lot.remaining -= count
        self.sizes[lot.price] -= count
        if lot.remaining:
            return
        queue = self._queues[lot.price]
        del queue[lot.order_id]
        if not queue:
            del self._queues[lot.price], self.sizes[lot.price]
            del self._keys[bisect_left(self._keys, lot.price * self._sign)]


class MarketBook:
    """A market's book. Every change is kept in ``changes`` until somebody drains it."""

    def __init__(self) -> None:
        self._ladders = {side: Ladder(side) for side in _SIDES}
        self._own: dict[BookSide, dict[str, Lot]] = {side: {} for side in _SIDES}
        self._crowd_lots = 0
        self.changes: list[LevelChange] = []

    def best(self, side: BookSide) -> Price | None:
        """Best price of a side, or None."""
        return self._ladders[side].best

    def size_at(self, side: BookSide, price: Price) -> Count:
        """Total size at a price (0 when there is none)."""
        return self._ladders[side].sizes.get(price, 0)

    def levels(self, side: BookSide) -> Levels:
        """(price, size) pairs of a side, best first."""
        ladder = self._ladders[side]
        return tuple((price, ladder.sizes[price]) for price in ladder.prices())

    def queue(self, side: BookSide, price: Price) -> list[Lot]:
        """Lots at a price, oldest first."""
        return self._ladders[side].queue(price)

    def lot(self, side: BookSide, order_id: str) -> Lot:
        """An account's resting lot. Raises ``KeyError`` when it does not rest."""
        return self._own[side][order_id]

    def ahead(self, side: BookSide, order_id: str) -> Count:
        """Size that trades before an account's resting lot: better prices, then older lots at its own."""
        lot, total = self._own[side][order_id], 0
        for price in self._ladders[side].prices():
            if price == lot.price:
                break
            total += self._ladders[side].sizes[price]
        for other in self.queue(side, lot.price):
            if other is lot:
                break
            total += other.remaining
        return total

    def crosses(self, side: BookSide, price: Price) -> bool:
        """Whether an incoming order would trade at once."""
        return reaches(side, price, self._ladders[side.other].best)

    def next_match(self, side: BookSide, price: Price) -> Lot | None:
        """The lot an incoming order on ``side`` limited to ``price`` trades with next, or None."""
        opposite = self._ladders[side.other]
        return opposite.front() if reaches(side, price, opposite.best) else None

    def depth(self, side: BookSide, price: Price, enough: Count, without: str | None = None) -> Count:
        """Size an incoming order could take, counted until ``enough``; ``without`` leaves an owner out."""
        ladder, found = self._ladders[side.other], 0
        for at in ladder.prices():
            if found >= enough or not reaches(side, price, at):
                break
            found += ladder.sizes[at]
            if without is not None:
                found -= sum(lot.remaining for lot in ladder.queue(at) if lot.owner == without)
        return found

    def own_lots_reached(self, side: BookSide, price: Price, *, strictly: bool) -> list[Lot]:
        """Accounts' lots resting on ``side`` that somebody willing to trade at ``price`` reaches.

        In priority order. ``strictly``: only lots whose price is better for him than ``price``.
        """
        if not self._own[side]:
            return []
        ladder, reached = self._ladders[side], []
        for at in ladder.prices():
            if not reaches(side.other, price, at) or (strictly and at == price):
                break
            reached += [lot for lot in ladder.queue(at) if lot.owner != CROWD]
        return reached

    def add(self, lot: Lot) -> None:
        """Let a lot rest, at the back of its queue."""
        self._ladders[lot.side].add(lot)
        if lot.owner != CROWD:
            self._own[lot.side][lot.order_id] = lot
        self.changes.append(LevelChange(lot.side, lot.price, lot.remaining, lot))

    def reduce(self, lot: Lot, count: Count) -> None:
        """Take size off a lot, by a trade or a cancellation."""
        self._ladders[lot.side].reduce(lot, count)
        if not lot.remaining and lot.owner != CROWD:
            del self._own[lot.side][lot.order_id]
        self.changes.append(LevelChange(lot.side, lot.price, -count, lot))

    def crowd_size(self, side: BookSide, price: Price) -> Count:
        """The crowd's own size at a price."""
        if not self._own[side]:
            return self._ladders[side].sizes.get(price, 0)
        return sum(lot.remaining for lot in self._crowd_queue(side, price))

    def crowd_prices(self, side: BookSide) -> list[Price]:
        """Prices of a side, best first, at which the crowd has size."""
        ladder = self._ladders[side]
        if not self._own[side]:
            return list(ladder.prices())
        return [price for price in ladder.prices() if self._crowd_queue(side, price)]

    def add_crowd(self, side: BookSide, price: Price, count: Count) -> None:
        """The crowd adds size at the back of a level: to its own lot there, or as a new one behind ours."""
        youngest = self._ladders[side].youngest(price)
        if youngest is not None and youngest.owner == CROWD:
            self._ladders[side].enlarge(youngest, count)
            self.changes.append(LevelChange(side, price, count, youngest))
            return
        self._crowd_lots += 1
        self.add(Lot(f"crowd-{self._crowd_lots}", CROWD, side, price, count))

    def shrink_crowd(self, side: BookSide, price: Price, count: Count) -> None:
        """The crowd withdraws ``count`` from a level, its youngest lots first."""
        for lot in reversed(self._crowd_queue(side, price)):
            if not count:
                return
            part = min(count, lot.remaining)
            self.reduce(lot, part)
            count -= part

    def _crowd_queue(self, side: BookSide, price: Price) -> list[Lot]:
        queue = self._ladders[side].queue(price)
        return [lot for lot in queue if lot.owner == CROWD] if self._own[side] else queue


def reaches(side: BookSide, limit: Price, opposite: Price | None) -> bool:
    """Whether an order on ``side`` with ``limit`` trades with a lot resting at ``opposite``."""
    if opposite is None:
        return False
    return opposite <= limit if side is BookSide.BID else opposite >= limit
