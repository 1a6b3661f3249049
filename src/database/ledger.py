"""The account as the tables tell it, for comparison with the exchange and for reports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from src.core.actions import PositionChanged, StoredOrder
from src.core.events import Fill, Settlement
from src.core.sides import BookSide, from_book
from src.core.units import DOLLAR_PRICE, Cash, Count

# The engine keeps these facts as control values: a position held before the ledger was opened
# (``EVENT|COUNT|COST`` by ticker), and money that came or went without a fill (deposits, interest).
OPENING_POSITION = "opening_position:"
EXTERNAL_CASH = "external_cash"


@dataclass(frozen=True, slots=True)
class Ledger:
    """Orders and fills in the order they were made, positions as last reported, and two figures of our own.

    ``cash`` (1e-6 dollars) is None before the first reconciliation; ``counts`` are the signed contracts
    (0.01) that fills leave in markets that have not paid out. Both come from the rows alone.
    ``external_cash`` is the part of ``cash`` that no fill explains (deposits, interest); ``opened_with`` are
    the markets in which the ledger was opened with a position.
    """

    orders: tuple[StoredOrder, ...]
    fills: tuple[Fill, ...]
    settlements: tuple[Settlement, ...]
    positions: tuple[PositionChanged, ...]
    counts: Mapping[str, Count]
    cash: Cash | None
    external_cash: Cash = 0
    opened_with: frozenset[str] = frozenset()


def opening_counts(values: Mapping[str, str]) -> dict[str, Count]:
    """Signed contracts held when the ledger was opened, by ticker."""
    return {
        key.removeprefix(OPENING_POSITION): int(value.split("|")[1])
        for key, value in values.items()
        if key.startswith(OPENING_POSITION)
    }


def trading_cash(
    fills: Sequence[Fill], settlements: Sequence[Settlement], opening: Mapping[str, Count]
) -> Cash:
    """What fills, fees and payouts changed the cash by (1e-6 dollars).

    A bid at p buys YES for ``p * count``, an ask at p buys NO for ``(1 - p) * count``, and the fee is
    taken. A YES and a NO contract of one market cancel out for one dollar, so over a market's life
    ``min(YES bought, NO bought)`` dollars come back, whatever the order of the fills. A settlement pays
    the revenue that the exchange reported.
    """
    cash = sum(settlement.revenue for settlement in settlements)
    bought: dict[str, dict[BookSide, Count]] = defaultdict(lambda: {BookSide.BID: 0, BookSide.ASK: 0})
    for ticker, held in opening.items():
        bought[ticker][BookSide.BID if held > 0 else BookSide.ASK] += abs(held)
    for fill in fills:
        _, price = from_book(fill.side, fill.price)
        cash -= price * fill.count + fill.fee
        bought[fill.ticker][fill.side] += fill.count
    return cash + sum(min(sides.values()) * DOLLAR_PRICE for sides in bought.values())


def open_counts(
    fills: Sequence[Fill], settlements: Sequence[Settlement], opening: Mapping[str, Count]
) -> dict[str, Count]:
    """Signed contracts left in markets that have not paid out; flat ones are left out."""
    counts: dict[str, Count] = defaultdict(int, opening)
    for fill in fills:
        counts[fill.ticker] += fill.side.sign * fill.count
    settled = {settlement.ticker for settlement in settlements}
    return {ticker: count for ticker, count in counts.items() if count and ticker not in settled}
