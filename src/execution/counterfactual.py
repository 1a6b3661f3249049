"""What holding to settlement would have paid for what was sold early: one durable record for each exit.

A stop is judged by what it saved against what it gave away. The sums are rebuilt from stored orders and
fills, so that a restart forgets none; what was judged is stored as well, so that none is judged twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from src.core.actions import ControlValue, ExitJudged, StoredState
from src.core.events import Fill
from src.core.sides import from_book
from src.core.signal import OrderIntent, Purpose
from src.core.units import DOLLAR_PRICE, Cash, Count, Nanos, Price
from src.execution.portfolio import settlement_revenue

Output: TypeAlias = list[ExitJudged | ControlValue]
_JUDGED = "exits_judged:"


@dataclass(slots=True)
class _Sold:
    """What one exit has sold. ``signed``: contracts of the position it left, + YES, - NO."""

    intent: OrderIntent
    signed: Count = 0
    proceeds: Cash = 0


def sale_proceeds(fill: Fill) -> Cash:
    """Cash a fill that closes a position brings, after its fee: a dollar less the other outcome's price."""
    _, price_of_other = from_book(fill.side, fill.price)
    return (DOLLAR_PRICE - price_of_other) * fill.count - fill.fee


class Counterfactuals:
    """Exits whose markets have not settled yet."""

    def __init__(self) -> None:
        self._open: dict[str, dict[str, _Sold]] = {}

    def restore(self, stored: StoredState) -> None:
        """Rebuild from the store."""
        exits = {row.order_id: row.intent for row in stored.orders if _is_exit(row.intent) and row.order_id}
        for fill in stored.fills:
            intent = exits.get(fill.order_id)
            if intent is not None:
                self.sold(intent, fill)
        for key in stored.values:
            if key.startswith(_JUDGED):
                self._open.pop(key.removeprefix(_JUDGED), None)

    def sold(self, intent: OrderIntent, fill: Fill) -> None:
        """A fill of one of our exits was booked."""
        if not _is_exit(intent):
            return
        exits = self._open.setdefault(fill.ticker, {})
        sold = exits.setdefault(intent.signal_id, _Sold(intent))
        sold.signed -= fill.side.sign * fill.count
        sold.proceeds += sale_proceeds(fill)

    def settled(self, ticker: str, value: Price, now: Nanos) -> Output:
        """The market pays ``value`` per YES contract: judge its exits."""
        exits = self._open.pop(ticker, None)
        if not exits:
            return []
        out: Output = [_judge(sold, ticker, value, now) for sold in exits.values()]
        return [*out, ControlValue(f"{_JUDGED}{ticker}", str(value), now)]

    def waiting(self) -> tuple[str, ...]:
        """Markets that were left and have not settled yet."""
        return tuple(self._open)


def left_early(stored: StoredState) -> tuple[str, ...]:
    """Markets in a store that were left before they settled and whose exits were not judged yet."""
    exits = Counterfactuals()
    exits.restore(stored)
    return exits.waiting()


def _is_exit(intent: OrderIntent) -> bool:
    return intent.purpose is Purpose.EXIT


def _judge(sold: _Sold, ticker: str, value: Price, now: Nanos) -> ExitJudged:
    strategy, _, reason = sold.intent.strategy.partition(":")
    outcome, _ = from_book(sold.intent.side.other, 0)
    return ExitJudged(
        signal_id=sold.intent.signal_id,
        strategy=strategy,
        reason=reason,
        ticker=ticker,
        outcome=outcome,
        count=abs(sold.signed),
        proceeds=sold.proceeds,
        hold_value=settlement_revenue(sold.signed, value),
        ts=now,
    )
