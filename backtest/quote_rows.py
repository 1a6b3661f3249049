"""Books that are brought up to date when somebody looks at them.

Most quotes of a history are superseded before anybody sees them. A strategy that says which quotes can make
it speak (``core.ports.Wakes``) is run on *rows*: a row (one quote of one market) that nobody looks at is only
remembered as the market's newest. It reaches

* the simulated exchange, silently, when an order is about to arrive there or the market closes,
* the engine when its book is read (``LazyMarketState``), or before the next event when the strategy notes
  which markets changed.

A row is applied on its own, exactly as in a row-by-row run, where it could matter: it may wake the strategy,
an order of ours is under way or rests in its market, or it is the first one after such an order. Visibility
keeps to the order of a row-by-row run, ties included: a row is visible to an event when it is older than the
feed's latency, or just as old and scheduled before. ``tests/backtest/test_bulk.py`` holds both runs against
each other: same decision log, same fills, same ledger, same report.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, TypeAlias

from src.core.book import OrderBook
from src.core.events import Levels, PublicTrade
from src.core.units import Nanos
from src.execution.market_state import MarketState
from src.simulator.exchange import Exchange
from src.simulator.world import WorldEvent


class Row(NamedTuple):
    """One quote. ``number`` counts the rows of the world in their order; ``ts`` is when it was made."""

    number: int
    ts: Nanos
    bids: Levels
    asks: Levels


Visible: TypeAlias = tuple[Nanos, int]


class Rows(ABC):
    """A world's events, of which those nobody can see the effect of are absorbed.

    ``feed``: how long after a row the engine can see it.
    ``position`` counts the rows that have happened, without the one that was taken last and is happening
    now; ``prints`` counts the public trades.
    """

    def __init__(self, exchange: Exchange, feed: Nanos) -> None:
        self._exchange = exchange
        self.feed = feed
        self.position = 0
        self.prints = 0
        # Up to this time ``advance`` is known to find nothing.
        self.quiet_until: Nanos = -1
        # Rows that the exchange's and the engine's book of a market hold, by number.
        self._at_exchange: dict[str, int] = {}
        self._at_engine: dict[str, int] = {}
        self._horizon: Visible = (0, 0)
        # Markets whose book in the engine is known to be what the event in hand can see.
        self.fresh: set[str] = set()

    # --- the world -----------------------------------------------------------------------------

    @abstractmethod
    def advance(self, until: Nanos) -> Nanos | None:
        """Absorb what needs nobody's attention; time of the next event that does, if not after ``until``."""

    @abstractmethod
    def take(self) -> WorldEvent:
        """The event that ``advance`` stopped at, to be applied to the exchange right now."""

    @abstractmethod
    def heat(self, ticker: str) -> None:
        """An order of ours is on its way into a market: from now on each of its rows counts."""

    @abstractmethod
    def cool(self, ticker: str) -> None:
        """No order of ours is in a market any more and a row has come since."""

    @abstractmethod
    def is_hot(self, ticker: str) -> bool:
        """Whether each row of a market counts."""

    @abstractmethod
    def mute(self, ticker: str) -> None:
        """No quote of a market can make the strategy speak any more."""

    # --- the exchange --------------------------------------------------------------------------

    def refresh_exchange(self, ticker: str) -> None:
        """Bring the exchange's book of a market to its newest row."""
        row = self._newest(ticker)
        if row is not None and row.number > self._at_exchange.get(ticker, -1):
            self._at_exchange[ticker] = row.number
            self._exchange.restore_quote(ticker, row.bids, row.asks)

    # --- the engine ----------------------------------------------------------------------------

    def show(self, now: Nanos, scheduled_at: int) -> None:
        """The engine handles an event of ``now``, scheduled when ``scheduled_at`` rows had happened."""
        self._horizon = (now - self.feed, scheduled_at)
        self.fresh.clear()

    def delivered(self, ticker: str, number: int) -> None:
        """The engine's book of a market holds what was known when row ``number`` had happened."""
        if number > self._at_engine.get(ticker, -1):
            self._at_engine[ticker] = number

    def unseen(self, ticker: str) -> Row | None:
        """The quote of a market as visible now, where the engine's is older."""
        row = self._visible(ticker, self._at_engine.get(ticker, -1))
        if row is not None:
            self._at_engine[ticker] = row.number
        return row

    @abstractmethod
    def changed(self) -> list[str]:
        """Markets whose quote changed in rows that became visible since the last call, in any order.

        Empty for strategies that do not note changes.
        """

    @property
    def has_trades(self) -> bool:
        """Whether ``trades`` may have something to tell."""
        return False

    def trades(self) -> list[PublicTrade]:
        """Absorbed trades that became visible since the last call: they tell how fast a market trades."""
        return []

    @abstractmethod
    def _newest(self, ticker: str) -> Row | None:
        """A market's newest row that was absorbed."""

    @abstractmethod
    def _visible(self, ticker: str, after: int) -> Row | None:
        """A market's newest absorbed row that the event in hand can see, if its number is above ``after``."""


class LazyMarketState(MarketState):
    """The engine's markets, whose books follow their rows when they are read."""

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        self._quotes = rows

    def book(self, ticker: str) -> OrderBook | None:
        """The book, or None when the feed does not vouch for it."""
        if ticker not in self._quotes.fresh:
            self.refresh(ticker)
        return self._books[ticker] if self.feed_up and ticker in self._valid else None

    def refresh(self, ticker: str) -> None:
        """Bring a market's book to the row that is visible now."""
        if ticker in self._quotes.fresh:
            return
        self._quotes.fresh.add(ticker)
        row = self._quotes.unseen(ticker)
        if row is not None:
            seen = row.ts + self._quotes.feed
            complaint = self.replace_book(ticker, row.bids, row.asks, row.number, seen, row.ts)
            if complaint is not None:
                raise AssertionError(complaint)
