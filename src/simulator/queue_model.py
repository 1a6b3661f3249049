"""Where an account's resting order stands in a recorded queue.

A recording tells of a trade twice, as a print and as a smaller level, in either order, and does not tell a
cancellation's place in the queue. Where an account's order rests at that price:

* a print at the price uses up the queue before the order, then the order itself;
* a decrease that no print explains is a cancellation; ``share`` of it stood before the order;
* a decrease up to a second before its print was that trade all along.
"""

from __future__ import annotations

from dataclasses import dataclass

from src.core.sides import BookSide
from src.core.units import SECOND, Count, Nanos, Price
from src.simulator.matching import CROWD, MarketBook
from src.simulator.states import MarketState
from src.simulator.trading import Trading

_SAME_TRADE: Nanos = SECOND


@dataclass(slots=True)
class _Level:
    """``printed``: traded by others, its decrease still to come; ``owed``: the same, traded by accounts.

    ``gone``: decreased at ``gone_ts``, its print perhaps still to come; ``behind``: what of that was taken
    from behind the accounts' orders.
    """

    printed: Count = 0
    owed: Count = 0
    gone: Count = 0
    behind: Count = 0
    gone_ts: Nanos = 0


class QueueModel:
    """The queues of all levels at which accounts' orders rest."""

    def __init__(self, trading: Trading, share: float) -> None:
        self._trading = trading
        self._share = share
        self._levels: dict[tuple[str, BookSide, Price], _Level] = {}

    def printed(self, state: MarketState, side: BookSide, price: Price, count: Count, now: Nanos) -> Count:
        """A trade of ``count`` with orders of ``side`` at ``price``; returns what accounts got of it."""
        key = (state.market.ticker, side, price)
        if not _rests(state.book, side, price):
            self._levels.pop(key, None)
            return 0
        level = self._levels.setdefault(key, _Level())
        told = min(count, level.gone) if now - level.gone_ts <= _SAME_TRADE else 0
        # What of that decrease left from behind us came from the front after all, and stands behind again.
        back = min(told, level.behind)
        level.gone -= told
        level.behind -= back
        got = self._use_up(state, side, price, count - (told - back))
        if back > got:
            state.book.add_crowd(side, price, back - got)
        # What accounts got of a trade is gone from the level that was shown, as far as it is not yet.
        owed = max(0, got - back)
        level.owed += owed
        level.printed += max(0, count - told - owed)
        return got

    def decreased(self, state: MarketState, side: BookSide, price: Price, count: Count, now: Nanos) -> Count:
        """The level shows ``count`` less. Returns how much of that the caller still has to take off."""
        key = (state.market.ticker, side, price)
        if not _rests(state.book, side, price):
            self._levels.pop(key, None)
            return count
        level = self._levels.setdefault(key, _Level())
        explained = min(count, level.printed)
        level.printed -= explained
        left = count - explained
        owed = min(left, level.owed)
        level.owed -= owed
        if now - level.gone_ts > _SAME_TRADE:
            level.gone = level.behind = 0
        canceled = left - owed
        from_front = _take_front(state.book, side, price, int(canceled * self._share))
        level.gone += canceled
        # The caller takes the rest from the youngest on: from behind us, as far as somebody stands there.
        level.behind += min(canceled - from_front, _behind(state.book, side, price))
        level.gone_ts = now
        return left - from_front

    def forget(self, ticker: str) -> None:
        """The market's book is shown anew: what was outstanding is in it."""
        for key in [key for key in self._levels if key[0] == ticker]:
            del self._levels[key]

    def _use_up(self, state: MarketState, side: BookSide, price: Price, count: Count) -> Count:
        got = 0
        for lot in state.book.queue(side, price):
            part = min(count, lot.remaining)
            if part <= 0:
                break
            if lot.owner == CROWD:
                state.book.reduce(lot, part)
            else:
                self._trading.fill_resting(state, lot, part)
                got += part
            count -= part
        return got


def _rests(book: MarketBook, side: BookSide, price: Price) -> bool:
    return any(lot.owner != CROWD for lot in book.queue(side, price))


def _behind(book: MarketBook, side: BookSide, price: Price) -> Count:
    """Crowd size behind the last order of an account."""
    sizes = 0
    for lot in reversed(book.queue(side, price)):
        if lot.owner != CROWD:
            return sizes
        sizes += lot.remaining
    return sizes


def _take_front(book: MarketBook, side: BookSide, price: Price, count: Count) -> Count:
    """Take crowd size off the front of a queue, as far as it stands before an account's order."""
    taken = 0
    for lot in book.queue(side, price):
        if lot.owner != CROWD or taken == count:
            break
        part = min(count - taken, lot.remaining)
        book.reduce(lot, part)
        taken += part
    return taken
