"""In which leg a stream's NO side is priced, told from the stream itself.

The venue's default is NO prices, and it has announced that this will change. Only one reading of a
two-sided snapshot is uncrossed, mostly; where both are, trades and tickers tell, and
at last which reading stays uncrossed. What nothing tells is read as expected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from src.api.replay_book import LEGS, Leg, Reading, ReplayBook

_LEAST_TOUCHES = 2
# Books that are crossed for long are read in the wrong leg; for a moment, something else is wrong.
_LEAST_CROSSED = 50


def leg_of(books: Iterable[ReplayBook], expected: Leg) -> Leg:
    """The leg in which ``books`` are priced."""
    told = list(books)

    def lead(count: Callable[[Reading], int]) -> int:
        """By how much the reading that is not expected leads."""
        sums = {leg: sum(count(book.readings[leg]) for book in told) for leg in LEGS}
        return sum(sums.values()) - 2 * sums[expected]

    (other,) = (leg for leg in LEGS if leg != expected)
    if snapshots := lead(lambda reading: reading.fitting_snapshots):
        return other if snapshots > 0 else expected
    touches = lead(lambda reading: reading.touches)
    if abs(touches) >= _LEAST_TOUCHES:
        return other if touches > 0 else expected
    messages = sum(book.messages for book in told)
    crossed = -lead(lambda reading: reading.crossed_messages)
    return other if crossed >= _LEAST_CROSSED and 2 * crossed > messages else expected


def legs_of(books: Sequence[ReplayBook], expected: Leg) -> list[Leg]:
    """The leg of each book: its own where its own snapshots tell, else that of all together."""
    common = leg_of(books, expected)
    return [
        leg_of([book], common)
        if any(reading.fitting_snapshots for reading in book.readings.values())
        else common
        for book in books
    ]
