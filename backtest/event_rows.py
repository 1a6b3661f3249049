"""Rows out of a world's stream of events: absorbed where nobody looks, or each on its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from backtest.quote_rows import Row, Rows
from src.core.events import Levels, PublicTrade
from src.core.ports import Wakes
from src.core.sides import BookSide
from src.core.units import Nanos
from src.simulator.exchange import Exchange
from src.simulator.pauses import WeeklyPause
from src.simulator.world import CrowdPrint, CrowdQuote, World, WorldEvent


class _Market:
    """What is remembered of one market: its absorbed rows from the newest visible one on."""

    __slots__ = ("hot", "muted", "newest", "rows", "shown")

    def __init__(self) -> None:
        self.rows: deque[Row] = deque()
        self.newest: Row | None = None
        # Levels of its last row; None when that was applied on its own, and the exchange knows better.
        self.shown: tuple[Levels, Levels] | None = ((), ())
        self.hot = False
        self.muted = False


class EventRows(Rows):
    """Rows out of a world's stream of events."""

    def __init__(self, world: World, exchange: Exchange, feed: Nanos, wakes: Wakes) -> None:
        super().__init__(exchange, feed)
        self._wakes = wakes
        self._events: Iterator[WorldEvent] = iter(world.events())
        self._next = next(self._events, None)
        self._markets: dict[str, _Market] = {}
        self._taken = 0
        self._pause = WeeklyPause(enabled=exchange.rules.weekly_pause)
        self._pending: deque[tuple[Nanos, int, str]] = deque()
        self._absorbed_prints: deque[tuple[Nanos, int, CrowdPrint]] = deque()

    def advance(self, until: Nanos) -> Nanos | None:
        """See ``Rows``."""
        self.position, self._taken = self.position + self._taken, 0
        event = self._next
        while event is not None:
            if event.ts > until:
                return None
            if type(event) is CrowdQuote:
                market = self._market(event.ticker)
                if market.hot or self._pause.is_on(event.ts) or self._is_wake(market, event):
                    return event.ts
                self._absorb(market, event)
            elif type(event) is CrowdPrint:
                if self._market(event.ticker).hot:
                    return event.ts
                self.prints += 1
                if self._exchange.markets[event.ticker].is_trading and not self._pause.is_on(event.ts):
                    self._absorbed_prints.append((event.ts, self.position, event))
            else:
                return event.ts
            event = self._next = next(self._events, None)
        return None

    def take(self) -> WorldEvent:
        """See ``Rows``."""
        event = self._next
        if event is None:
            raise AssertionError("nothing to take: advance says when there is")
        self._next = next(self._events, None)
        if isinstance(event, CrowdQuote):
            self.refresh_exchange(event.ticker)
            self._at_exchange[event.ticker] = self.position
            self._market(event.ticker).shown = None
            self._taken = 1
        elif isinstance(event, CrowdPrint):
            self.refresh_exchange(event.ticker)
            self.prints += 1
        return event

    def heat(self, ticker: str) -> None:
        """See ``Rows``."""
        self._market(ticker).hot = True

    def cool(self, ticker: str) -> None:
        """See ``Rows``."""
        self._market(ticker).hot = False

    def is_hot(self, ticker: str) -> bool:
        """See ``Rows``."""
        return self._market(ticker).hot

    def mute(self, ticker: str) -> None:
        """See ``Rows``."""
        self._market(ticker).muted = True

    def changed(self) -> list[str]:
        """See ``Rows``."""
        found: dict[str, None] = {}
        while self._pending and self._pending[0][:2] < self._horizon:
            found[self._pending.popleft()[2]] = None
        return list(found)

    @property
    def has_trades(self) -> bool:
        """See ``Rows``."""
        return bool(self._absorbed_prints)

    def trades(self) -> list[PublicTrade]:
        """See ``Rows``."""
        found, waiting = [], self._absorbed_prints
        while waiting and waiting[0][:2] < self._horizon:
            ts, _, trade = waiting.popleft()
            found.append(
                PublicTrade(
                    trade.ticker,
                    trade.trade_id,
                    trade.price,
                    trade.count,
                    trade.taker_side,
                    ts,
                    ts + self.feed,
                )
            )
        return found

    def _market(self, ticker: str) -> _Market:
        market = self._markets.get(ticker)
        if market is None:
            market = self._markets[ticker] = _Market()
        return market

    def _is_wake(self, market: _Market, quote: CrowdQuote) -> bool:
        return not market.muted and bool(quote.asks) and quote.asks[0][0] < self._wakes.ask_below

    def _absorb(self, market: _Market, quote: CrowdQuote) -> None:
        rows, horizon = market.rows, self._horizon
        row = Row(self.position, quote.ts, quote.bids, quote.asks)
        self.position += 1
        market.newest = row
        rows.append(row)
        # No event to come is older than this row: what it would see hides what came before.
        sure = row.ts - self.feed
        while len(rows) > 1 and (rows[1].ts < sure or (rows[1].ts, rows[1].number) < horizon):
            rows.popleft()
        if self._wakes.notes_changes:
            shown = market.shown if market.shown is not None else self._levels_at_exchange(quote.ticker)
            market.shown = (quote.bids, quote.asks)
            if market.shown != shown:
                self._pending.append((row.ts, row.number, quote.ticker))

    def _levels_at_exchange(self, ticker: str) -> tuple[Levels, Levels]:
        book = self._exchange.book(ticker)
        return book.levels(BookSide.BID), book.levels(BookSide.ASK)

    def _newest(self, ticker: str) -> Row | None:
        market = self._markets.get(ticker)
        return None if market is None else market.newest

    def _visible(self, ticker: str, after: int) -> Row | None:
        market = self._markets.get(ticker)
        if market is None:
            return None
        rows, horizon = market.rows, self._horizon
        while len(rows) > 1 and (rows[1].ts, rows[1].number) < horizon:
            rows.popleft()
        is_seen = rows and rows[0].number > after and (rows[0].ts, rows[0].number) < horizon
        return rows[0] if is_seen else None


class EachRow(Rows):
    """Every event on its own: for strategies that do not say what wakes them, and as the reference."""

    def __init__(self, world: World, exchange: Exchange, feed: Nanos) -> None:
        super().__init__(exchange, feed)
        self._events = iter(world.events())
        self._next = next(self._events, None)

    def advance(self, until: Nanos) -> Nanos | None:
        """See ``Rows``."""
        return None if self._next is None or self._next.ts > until else self._next.ts

    def take(self) -> WorldEvent:
        """See ``Rows``."""
        event = self._next
        if event is None:
            raise AssertionError("nothing to take: advance says when there is")
        self._next = next(self._events, None)
        self.prints += isinstance(event, CrowdPrint)
        return event

    def heat(self, ticker: str) -> None:
        """Every market always is."""

    def cool(self, ticker: str) -> None:
        """No market ever is."""

    def is_hot(self, ticker: str) -> bool:
        """Every market always is, without anybody's doing."""
        return False

    def mute(self, ticker: str) -> None:
        """Every row counts all the same."""

    def changed(self) -> list[str]:
        """Every change reaches the engine by itself."""
        return []

    def _newest(self, ticker: str) -> Row | None:
        return None

    def _visible(self, ticker: str, after: int) -> Row | None:
        return None
