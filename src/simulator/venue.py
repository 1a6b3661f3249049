"""The exchange's shared state: clock, markets, accounts, counters, timers and the outputs so far."""

from __future__ import annotations

import heapq
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from src.core.market import Market, MarketStatus
from src.core.sides import BookSide
from src.core.units import DAY, Cash, Count, Nanos, Price
from src.simulator import refusals
from src.simulator.account import Account
from src.simulator.matching import MarketBook
from src.simulator.outputs import BookChange, LifecycleChange, LifecycleStep, Output
from src.simulator.records import Trade

_NAMESPACE = uuid.UUID("0f3f7f1e-5b5c-5d8a-8f0d-5a1f3c1b7a11")
KEPT_TRADES = 20_000
BEFORE_CLOSE = frozenset({MarketStatus.INITIALIZED, MarketStatus.ACTIVE, MarketStatus.INACTIVE})


@dataclass(frozen=True, slots=True)
class VenueRules:
    """Where Kalshi's behaviour is not documented or a use of the exchange differs.

    ``balance_deducts_resting``: whether the reported balance is free of resting orders' collateral.
    ``quotes_fill_at_touch``: whether a crowd quote at exactly an account order's price trades with it;
    False (paper trading) wants the quote strictly through it.
    """

    balance_deducts_resting: bool = False
    quotes_fill_at_touch: bool = True


@dataclass(slots=True)
class MarketState:
    """A market with its book and statistics. ``clock`` counts the operations that changed the book."""

    market: Market
    market_id: str
    ordinal: int
    created_ts: Nanos
    updated_ts: Nanos
    book: MarketBook = field(default_factory=MarketBook)
    clock: int = 0
    last_price: Price | None = None
    last_size: Count = 0
    volume: Count = 0
    turnover: Cash = 0
    pay_ts: Nanos | None = None
    settled_ts: Nanos | None = None
    trades: deque[Trade] = field(default_factory=lambda: deque(maxlen=KEPT_TRADES))
    _day: deque[tuple[Nanos, Price, Count]] = field(default_factory=deque)
    _day_volume: Count = 0
    _day_ago_price: Price | None = None

    def add_trade(self, trade: Trade) -> None:
        """Count a public trade in the statistics."""
        self.trades.append(trade)
        self.last_price, self.last_size = trade.price, trade.count
        self.volume += trade.count
        self.turnover += trade.price * trade.count
        self._day.append((trade.ts, trade.price, trade.count))
        self._day_volume += trade.count

    def last_day(self, now: Nanos) -> tuple[Count, Price | None]:
        """Volume of the last 24 hours, and the last price before them."""
        while self._day and self._day[0][0] <= now - DAY:
            _, self._day_ago_price, count = self._day.popleft()
            self._day_volume -= count
        return self._day_volume, self._day_ago_price

    @property
    def is_trading(self) -> bool:
        """Whether orders are matched now (``Venue`` moves the status with the clock)."""
        return self.market.status is MarketStatus.ACTIVE


@dataclass(slots=True)
class EventState:
    """A listed event."""

    event_ticker: str
    series_ticker: str
    title: str
    ordinal: int
    listed_ts: Nanos
    tickers: list[str]


@dataclass(slots=True)
class SeriesState:
    """A series as far as worlds tell: its ticker, and the fees of its first market."""

    ticker: str
    sample: Market
    created_ts: Nanos


class Venue:
    """Everything the parts of the exchange share. ``now`` never goes back."""

    def __init__(self, seed: int, now: Nanos, rules: VenueRules) -> None:
        self.seed = seed
        self.now = now
        self.rules = rules
        self.exchange_active = True
        self.trading_active = True
        self.markets: dict[str, MarketState] = {}
        self.events: dict[str, EventState] = {}
        self.series: dict[str, SeriesState] = {}
        self.accounts: dict[str, Account] = {}
        # The crowd is one account without limits, so that every contract has two known sides.
        self.crowd = Account("", self.make_id("crowd"), 0)
        self.outputs: list[Output] = []
        self.order_count = 0
        self.trade_count = 0
        self._timers: list[tuple[Nanos, int, Callable[[], None]]] = []
        self._timer_count = 0

    def make_id(self, name: str) -> str:
        """A UUID that depends on the seed and the name only."""
        return str(uuid.uuid5(_NAMESPACE, f"{self.seed}|{name}"))

    def emit(self, output: Output) -> None:
        """Tell the listeners at the end of the operation."""
        self.outputs.append(output)

    def account(self, key_id: str) -> Account:
        """An account by key id. Raises ``KeyError`` for an unknown one."""
        return self.accounts[key_id]

    def market(self, ticker: str) -> MarketState:
        """A market; refuses with ``not_found`` when it is not listed."""
        state = self.markets.get(ticker)
        if state is None:
            raise refusals.not_found()
        return state

    def change_market(self, state: MarketState, **changes: object) -> None:
        """Replace fields of a market's description."""
        state.market = replace(state.market, **changes)  # type: ignore[arg-type]
        state.updated_ts = self.now

    def announce(self, state: MarketState, step: LifecycleStep) -> None:
        """Tell the listeners about a step of a market's life."""
        self.emit(LifecycleChange(state.market.ticker, step, self.now))

    def publish_book(self, state: MarketState) -> None:
        """Turn the book's changes since the last call into outputs that share one clock value."""
        changes = state.book.changes
        if not changes:
            return
        state.clock += 1
        for change in changes:
            owner = change.lot.owner
            client_id = self.accounts[owner].orders[change.lot.order_id].client_order_id if owner else ""
            self.outputs.append(
                BookChange(
                    state.market.ticker,
                    change.side,
                    change.price,
                    change.delta,
                    state.clock,
                    owner,
                    client_id,
                    self.now,
                )
            )
        changes.clear()

    def schedule(self, ts: Nanos, action: Callable[[], None]) -> None:
        """Have ``run_timers`` call ``action`` at ``ts`` (in order of time, then of scheduling)."""
        self._timer_count += 1
        heapq.heappush(self._timers, (ts, self._timer_count, action))

    def next_timer(self) -> Nanos | None:
        """When the next timer is due, or None."""
        return self._timers[0][0] if self._timers else None

    def run_timers(self, until: Nanos) -> None:
        """Move the clock to ``until``, doing on the way what is due."""
        while self._timers and self._timers[0][0] <= until:
            ts, _, action = heapq.heappop(self._timers)
            self.now = max(self.now, ts)
            action()
        self.now = max(self.now, until)

    def open_interest(self, ticker: str) -> Count:
        """Contracts held, with the crowd counted as one holder (a lower bound)."""
        held = [account.position_count(ticker) for account in (self.crowd, *self.accounts.values())]
        return sum(count for count in held if count > 0)

    def touch(self, ticker: str) -> tuple[Price | None, Price | None]:
        """Best bid and best ask."""
        book = self.markets[ticker].book
        return book.best(BookSide.BID), book.best(BookSide.ASK)
