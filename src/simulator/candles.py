"""Minute bars of one market, made as quotes and trades happen, and candlesticks made of them.

A bar covers ``(end - 1 minute, end]``: Kalshi's ``end_period_ts`` is inclusive. Only minutes in which
something changed are kept; the others repeat the quotes and the interest that stood.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from src.core.units import DOLLAR_PRICE, MINUTE, Cash, Count, Nanos, Price

MINUTES = (1, 60, 1_440)


@dataclass(slots=True)
class Range:
    """Open, low, high and close."""

    open: Price
    low: Price
    high: Price
    close: Price

    @classmethod
    def at(cls, price: Price) -> Range:
        """A range in which nothing moved."""
        return cls(price, price, price, price)

    def add(self, price: Price) -> None:
        """Go on to ``price``."""
        self.low, self.high, self.close = min(self.low, price), max(self.high, price), price

    def extend(self, later: Range) -> None:
        """Go on through a later range."""
        self.low, self.high = min(self.low, later.low), max(self.high, later.high)
        self.close = later.close


@dataclass(slots=True)
class Candle:
    """A period that ends at ``end``. ``price`` is None without trades, ``previous`` the price before it."""

    end: Nanos
    bid: Range
    ask: Range
    previous: Price | None
    interest: Count
    price: Range | None = None
    volume: Count = 0
    turnover: Cash = 0

    @property
    def last_price(self) -> Price | None:
        """Price of the last trade by the end of the period."""
        return self.price.close if self.price else self.previous

    @property
    def mean(self) -> Price | None:
        """Average price of the contracts traded."""
        return self.turnover // self.volume if self.volume else None


class Candles:
    """The bars of one market. An empty side shows as a bid of 0 or an ask of 1 dollar."""

    def __init__(self) -> None:
        self._bars: list[Candle] = []
        self._ends: list[Nanos] = []
        self._bid: Price = 0
        self._ask: Price = DOLLAR_PRICE

    def quote(self, ts: Nanos, bid: Price | None, ask: Price | None) -> None:
        """The touch as it stands now."""
        bid, ask = bid or 0, DOLLAR_PRICE if ask is None else ask
        if bid == self._bid and ask == self._ask:
            return
        bar = self._bar(ts)
        bar.bid.add(bid)
        bar.ask.add(ask)
        self._bid, self._ask = bid, ask

    def trade(self, ts: Nanos, price: Price, count: Count) -> None:
        """A public trade."""
        bar = self._bar(ts)
        if bar.price is None:
            bar.price = Range.at(price)
        else:
            bar.price.add(price)
        bar.volume += count
        bar.turnover += price * count

    def hold(self, ts: Nanos, interest: Count) -> None:
        """Open interest as it stands now."""
        self._bar(ts).interest = interest

    def as_of(self, ts: Nanos) -> Candle | None:
        """The last bar that ended by ``ts``, or None when nothing had happened."""
        index = bisect_right(self._ends, ts)
        return self._bars[index - 1] if index else None

    def periods(self, first: Nanos, last: Nanos, minutes: int) -> Iterator[Candle]:
        """Candles of all periods of ``minutes`` that end from ``first`` to ``last``, both included."""
        length = minutes * MINUTE
        end = -(-first // length) * length
        while end <= last:
            yield self._merged(end - length, end)
            end += length

    def _merged(self, start: Nanos, end: Nanos) -> Candle:
        made = _standing(end, self.as_of(start))
        for bar in self._bars[bisect_right(self._ends, start) : bisect_right(self._ends, end)]:
            made.bid.extend(bar.bid)
            made.ask.extend(bar.ask)
            made.interest = bar.interest
            made.volume += bar.volume
            made.turnover += bar.turnover
            if bar.price is not None and made.price is not None:
                made.price.extend(bar.price)
            elif bar.price is not None:
                made.price = Range(bar.price.open, bar.price.low, bar.price.high, bar.price.close)
        return made

    def _bar(self, ts: Nanos) -> Candle:
        if self._ends and ts <= self._ends[-1]:
            return self._bars[-1]
        bar = _standing(-(-ts // MINUTE) * MINUTE, self._bars[-1] if self._bars else None)
        self._bars.append(bar)
        self._ends.append(bar.end)
        return bar


def _standing(end: Nanos, before: Candle | None) -> Candle:
    """A period in which nothing has happened yet after ``before``."""
    if before is None:
        return Candle(end, Range.at(0), Range.at(DOLLAR_PRICE), None, 0)
    bid, ask = Range.at(before.bid.close), Range.at(before.ask.close)
    return Candle(end, bid, ask, before.last_price, before.interest)
