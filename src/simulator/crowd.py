"""The crowd's flow as a world describes it, applied to the books.

The crowd may quote before a market opens and while it is paused (nothing trades then; an account's
orders are canceled when trading resumes). While trading is paused on the whole exchange the crowd can
only withdraw. Takes and prints outside trading, and all flow after the close, are ignored.
"""

from __future__ import annotations

from src.core.events import Levels
from src.core.sides import BookSide
from src.core.units import Count, Price
from src.simulator.queue_model import QueueModel
from src.simulator.states import MarketState
from src.simulator.trading import Trading
from src.simulator.venue import BEFORE_CLOSE, Venue
from src.simulator.world import CrowdChange, CrowdPrint, CrowdQuote, CrowdSweep, CrowdTake


class Crowd:
    """Applies crowd events. See ``matching.py`` for what they mean to accounts' orders."""

    def __init__(self, venue: Venue, trading: Trading) -> None:
        self._venue = venue
        self._trading = trading
        share = venue.rules.queue_share
        self._queues = None if share is None else QueueModel(trading, share)

    def quote(self, event: CrowdQuote) -> None:
        """Make the crowd's resting orders exactly these levels; new size that reaches ours trades."""
        bids, asks = _checked(event, BookSide.BID, event.bids), _checked(event, BookSide.ASK, event.asks)
        if bids and asks and max(bids) >= min(asks):
            raise ValueError(f"{event.ticker}: crowd quote crosses itself at {event.ts}")
        state = self._quotable_market(event.ticker)
        if state is None:
            return
        if self._queues is not None:
            self._queues.forget(event.ticker)
        targets = {BookSide.BID: bids, BookSide.ASK: asks}
        for side, wanted in targets.items():
            for price in state.book.crowd_prices(side):
                if price not in wanted:
                    state.book.shrink_crowd(side, price, state.book.crowd_size(side, price))
        for side, wanted in targets.items():
            best_first = sorted(wanted, key=lambda price: -price * side.sign)
            for price in best_first:
                self._set_level(state, side, price, wanted[price])
        self._venue.publish_book(state)

    def set_level(self, ticker: str, side: BookSide, price: Price, size: Count) -> None:
        """Make the crowd's size at one price exactly ``size``."""
        state = self._quotable_market(ticker)
        if state is not None:
            self._set_level(state, side, price, size)
            self._venue.publish_book(state)

    def change(self, event: CrowdChange) -> None:
        """Let the crowd's size at one price grow or shrink."""
        state = self._quotable_market(event.ticker)
        if state is not None:
            delta = event.delta
            if self._queues is not None and delta < 0:
                left = self._queues.decreased(state, event.side, event.price, -delta, self._venue.now)
                delta = -left
            present = state.book.crowd_size(event.side, event.price)
            self._set_level(state, event.side, event.price, max(0, present + delta))
            self._venue.publish_book(state)

    def take(self, event: CrowdTake) -> None:
        """An immediate-or-cancel order by a crowd member."""
        state = self._trading_market(event.ticker)
        if state is not None:
            self._trading.crowd_take(state, event.side, event.price, event.count)
            self._venue.publish_book(state)

    def print(self, event: CrowdPrint) -> None:
        """A recorded trade: accounts' orders strictly through which it printed get theirs first.

        An order on either side is passed: whoever bought below our bid, or sold above our ask, would
        have met us on the way.
        """
        state = self._trading_market(event.ticker)
        if state is None:
            return
        left = event.count
        for side in (event.taker_side.other, event.taker_side):
            left -= self._trading.crowd_reaches(state, side, event.price, left, strictly=True)
        if self._queues is not None and left:
            resting = event.taker_side.other
            left -= self._queues.printed(state, resting, event.price, left, self._venue.now)
        if left:
            self._trading.print_trade(state, event.trade_id, event.price, left, event.taker_side)
        self._venue.publish_book(state)

    def sweep(self, event: CrowdSweep) -> None:
        """Let accounts' orders that the other side has passed trade."""
        state = self._trading_market(event.ticker)
        if state is not None:
            self._trading.crowd_reaches(state, event.side, event.price, event.count, strictly=True)
            self._venue.publish_book(state)

    def restore(self, ticker: str, bids: Levels, asks: Levels) -> None:
        """Replace the crowd's lots without a trade, a message or a look at pauses."""
        state = self._quotable_market(ticker)
        if state is None:
            return
        self.withdraw(state)
        for side, levels in ((BookSide.BID, bids), (BookSide.ASK, asks)):
            for price, size in levels:
                state.book.add_crowd(side, price, size)
        state.book.changes.clear()

    def withdraw(self, state: MarketState) -> None:
        """Remove everything the crowd has in a market."""
        for side in (BookSide.BID, BookSide.ASK):
            for price in state.book.crowd_prices(side):
                state.book.shrink_crowd(side, price, state.book.crowd_size(side, price))

    def _set_level(self, state: MarketState, side: BookSide, price: Price, size: Count) -> None:
        present = state.book.crowd_size(side, price)
        if size < present:
            state.book.shrink_crowd(side, price, present - size)
        added = size - present
        if added <= 0 or not self._venue.is_trading_open:
            return
        strictly = not self._venue.rules.quotes_fill_at_touch
        if state.is_trading:
            added -= self._trading.crowd_reaches(state, side.other, price, added, strictly=strictly)
        if added:
            state.book.add_crowd(side, price, added)

    def _trading_market(self, ticker: str) -> MarketState | None:
        state = self._quotable_market(ticker)
        is_open = state is not None and state.is_trading and self._venue.is_trading_open
        return state if is_open else None

    def _quotable_market(self, ticker: str) -> MarketState | None:
        state = self._venue.markets.get(ticker)
        if state is None:
            raise ValueError(f"crowd flow for {ticker!r}, which was never listed")
        return state if state.market.status in BEFORE_CLOSE else None


def _checked(event: CrowdQuote, side: BookSide, levels: Levels) -> dict[Price, Count]:
    wanted = dict(levels)
    if len(wanted) != len(levels) or any(size <= 0 for size in wanted.values()):
        raise ValueError(f"{event.ticker}: crowd {side.value}s need distinct prices and positive sizes")
    return wanted
