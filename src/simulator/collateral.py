"""Cash that an account's resting orders may need, kept up to date order by order.

A resting order may need what its outcome costs at its limit plus the maker fee, except for the part
that would close an opposite position: closing pays a dollar per pair and so needs no cash. The book fills
the best priced orders first, so these use up the opposite position first. Both sides of a market are
counted in full.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from src.core.fees import FeeSchedule
from src.core.sides import BookSide, from_book
from src.core.units import Cash, Count, Price
from src.simulator.records import VenueOrder


@dataclass(slots=True)
class _Part:
    """An order's, or a price level's, size and the cash it needs when all of it opens."""

    unit: Price
    count: Count = 0
    reserve: Cash = 0


def _part(side: BookSide, price: Price, count: Count, fees: FeeSchedule, *, is_taker: bool) -> _Part:
    _, unit = from_book(side, price)
    return _Part(unit, count, unit * count + fees.trade_fee(price, count, is_taker))


@dataclass(slots=True)
class _Side:
    orders: dict[str, _Part] = field(default_factory=dict)
    levels: dict[Price, _Part] = field(default_factory=dict)
    locked: Cash = 0
    required: Cash = 0

    def put(self, order_id: str, new: _Part | None) -> None:
        """Replace an order's part; None takes it out."""
        old = self.orders.pop(order_id, None)
        if old is not None:
            level = self.levels[old.unit]
            level.count -= old.count
            level.reserve -= old.reserve
            self.locked -= old.reserve
            if not level.count:
                del self.levels[old.unit]
        if new is not None:
            self.orders[order_id] = new
            level = self.levels.setdefault(new.unit, _Part(new.unit))
            level.count += new.count
            level.reserve += new.reserve
            self.locked += new.reserve

    def needed(self, closable: Count, extra: _Part | None = None) -> Cash:
        """Cash needed when ``closable`` contracts of these orders only close a position."""
        total = self.locked + (extra.reserve if extra else 0)
        if not closable:
            return total
        parts = [*self.levels.values(), *([extra] if extra else [])]
        for part in sorted(parts, key=lambda each: -each.unit):
            closing = min(closable, part.count)
            closable -= closing
            # Rounded down: never sets free more than the closing contracts' share.
            total -= part.reserve * closing // part.count
            if not closable:
                break
        return total


class Collateral:
    """The sum over all markets and sides of what resting orders may need (``total``, 1e-6 dollars)."""

    def __init__(self) -> None:
        self._sides: dict[tuple[str, BookSide], _Side] = {}
        self.total: Cash = 0

    def put(self, order: VenueOrder, fees: FeeSchedule) -> None:
        """Count an order with its present ``remaining``; 0 takes it out."""
        side = self._sides.setdefault((order.ticker, order.side), _Side())
        part = None
        if order.remaining:
            part = _part(order.side, order.price, order.remaining, fees, is_taker=False)
        side.put(order.order_id, part)

    def remove(self, order: VenueOrder) -> None:
        """Take an order out, whatever its ``remaining``."""
        side = self._sides.get((order.ticker, order.side))
        if side is not None:
            side.put(order.order_id, None)

    def refresh(self, ticker: str, position: Count) -> None:
        """Recompute a market after an order or the position changed."""
        for book_side in BookSide:
            side = self._sides.get((ticker, book_side))
            if side is not None:
                needed = side.needed(_closable(book_side, position))
                self.total += needed - side.required
                side.required = needed

    def additional(
        self, ticker: str, book_side: BookSide, price: Price, count: Count, fees: FeeSchedule, position: Count
    ) -> Cash:
        """Cash a new order would need on top, if it took everything at its limit."""
        side = self._sides.get((ticker, book_side)) or _Side()
        extra = _part(book_side, price, count, fees, is_taker=True)
        return side.needed(_closable(book_side, position), extra) - side.required


def _closable(side: BookSide, position: Count) -> Count:
    return max(-position * side.sign, 0)
