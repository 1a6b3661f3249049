"""Positions, cash and profit, from fills and settlements alone, in exact integers.

A market has ONE signed position (+ YES, - NO). Buying the outcome opposite to the one held closes
pairs; each pair pays one dollar back at once (Kalshi nets automatically). Costs are all-in: fees are
part of what a position cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from src.core.actions import PositionChanged
from src.core.events import Fill, Settlement
from src.core.sides import BookSide, Outcome, from_book
from src.core.units import DOLLAR_PRICE, Cash, Count, Nanos, Price


@dataclass(slots=True)
class Position:
    """An open or closed position. ``cost`` is the all-in cost of what is open.

    ``realized`` is the market's profit over all times it was held; ``closed_pnl`` is that of the one time
    that the last fill or settlement ended (None when it ended none).
    """

    ticker: str
    event_ticker: str
    strategy: str
    count: Count = 0
    cost: Cash = 0
    realized: Cash = 0
    fees: Cash = 0
    opened_ts: Nanos = 0
    closed_pnl: Cash | None = None
    realized_before: Cash = 0

    @property
    def outcome(self) -> Outcome:
        """The outcome held (meaningless when flat)."""
        return Outcome.YES if self.count >= 0 else Outcome.NO

    @property
    def size(self) -> Count:
        """Contracts held, unsigned."""
        return abs(self.count)

    def changed(self, ts: Nanos) -> PositionChanged:
        """The position's row for the store."""
        return PositionChanged(
            self.ticker,
            self.event_ticker,
            self.strategy,
            self.count,
            self.cost,
            self.realized,
            self.fees,
            self.opened_ts,
            ts,
        )


def settlement_revenue(count: Count, value: Price) -> Cash:
    """What a signed position is paid when YES settles at ``value`` (1e-4 dollars)."""
    return count * value if count >= 0 else -count * (DOLLAR_PRICE - value)


def fill_cash_flow(position_before: Count, side: BookSide, yes_price: Price, count: Count, fee: Cash) -> Cash:
    """Cash change of a fill: minus price and fee, plus a dollar for every pair it completes."""
    _, price = from_book(side, yes_price)
    held_opposite = max(0, -side.sign * position_before)
    return min(held_opposite, count) * DOLLAR_PRICE - price * count - fee


class Portfolio:
    """The ledger. ``cash`` is meaningful once ``open_ledger`` gave it a start."""

    def __init__(self) -> None:
        self.cash: Cash = 0
        self._positions: dict[str, Position] = {}
        # Asked for on every tick, mark and signal: markets held once must not make that slower for ever.
        self._open: dict[str, Position] = {}
        self._seen_fills: set[tuple[str, str]] = set()
        self._settled: set[tuple[str, Nanos]] = set()

    def open_ledger(self, cash: Cash) -> None:
        """Set the cash the ledger starts from, before any fill is applied."""
        self.cash = cash

    def adjust_cash(self, amount: Cash) -> None:
        """Book a deposit, withdrawal or interest that no fill explains."""
        self.cash += amount

    def adopt_position(self, ticker: str, event_ticker: str, count: Count, cost: Cash, ts: Nanos) -> Position:
        """Take in a position that existed before the ledger was opened."""
        position = Position(ticker, event_ticker, "external", count, cost, opened_ts=ts)
        self._positions[ticker] = position
        self._note(position)
        return position

    def get(self, ticker: str) -> Position | None:
        """The position in a market, flat ones included, or None if never held."""
        return self._positions.get(ticker)

    def count(self, ticker: str) -> Count:
        """Signed contracts held."""
        position = self._positions.get(ticker)
        return position.count if position else 0

    def open_positions(self) -> Iterator[Position]:
        """Positions that are not flat, in the order they were opened."""
        return iter(self._open.values())

    @property
    def open_count(self) -> int:
        """How many positions are not flat."""
        return len(self._open)

    def _note(self, position: Position) -> None:
        if position.count:
            self._open.setdefault(position.ticker, position)
        else:
            self._open.pop(position.ticker, None)

    def at_risk(self, positions: Iterable[Position] | None = None) -> Cash:
        """Worst-case loss: all-in cost of what is open (no offset between brackets is assumed)."""
        return sum(
            position.cost for position in (positions if positions is not None else self.open_positions())
        )

    def has_fill(self, trade_id: str, order_id: str) -> bool:
        """Whether a fill was booked already."""
        return (trade_id, order_id) in self._seen_fills

    def has_settlement(self, settlement: Settlement) -> bool:
        """Whether a settlement was booked already."""
        return (settlement.ticker, settlement.settled_ts) in self._settled

    def apply_fill(self, fill: Fill, event_ticker: str, strategy: str) -> tuple[Position, Cash]:
        """Book a fill once. Returns the position and the profit realised by what it closed."""
        if self.has_fill(fill.trade_id, fill.order_id):
            raise AssertionError(f"fill {fill.trade_id} booked twice")
        self._seen_fills.add((fill.trade_id, fill.order_id))
        position = self._positions.setdefault(fill.ticker, Position(fill.ticker, event_ticker, strategy))
        self.cash += fill_cash_flow(position.count, fill.side, fill.price, fill.count, fill.fee)
        _, price = from_book(fill.side, fill.price)
        signed = fill.side.sign * fill.count
        closing = min(position.size, fill.count) if position.count * signed < 0 else 0
        # The fee is split by count between the closed and the opened part.
        closing_fee = fill.fee * closing // fill.count
        realized = 0
        if closing:
            released = position.cost * closing // position.size
            realized = closing * (DOLLAR_PRICE - price) - released - closing_fee
            position.cost -= released
            position.realized += realized
        opening = fill.count - closing
        ends = closing == position.size and closing > 0
        if opening and (ends or position.count == 0):
            position.closed_pnl = position.realized - position.realized_before if ends else None
            position.opened_ts, position.strategy = fill.ts_recv, strategy
            position.realized_before = position.realized
        else:
            position.closed_pnl = None
        position.count += signed
        position.cost += price * opening + (fill.fee - closing_fee)
        if position.count == 0:
            position.realized -= position.cost
            realized -= position.cost
            position.cost = 0
            position.closed_pnl = position.realized - position.realized_before
        position.fees += fill.fee
        self._note(position)
        return position, realized

    def settle(self, settlement: Settlement) -> tuple[Position, Cash, Cash]:
        """Book a payout once. Returns the position, what our own arithmetic paid, and its profit."""
        self._settled.add((settlement.ticker, settlement.settled_ts))
        position = self._positions.setdefault(
            settlement.ticker, Position(settlement.ticker, settlement.event_ticker, "external")
        )
        revenue = settlement_revenue(position.count, settlement.value)
        profit = revenue - position.cost
        self.cash += revenue
        position.realized += profit
        position.closed_pnl = position.realized - position.realized_before if position.count else None
        position.realized_before = position.realized
        position.count = 0
        position.cost = 0
        self._note(position)
        return position, revenue, profit
