"""What the exchange keeps about markets, events and series."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from src.core.fees import FeeSchedule
from src.core.market import Market, MarketStatus
from src.core.units import DAY, Cash, Count, Nanos, Price
from src.simulator.candles import Candles
from src.simulator.matching import MarketBook
from src.simulator.records import Trade

KEPT_TRADES = 20_000


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
    candles: Candles = field(default_factory=Candles)
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
        self.candles.trade(trade.ts, trade.price, trade.count)
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
    """A listed event. ``fee_override`` replaces the series' fees while it is set."""

    event_ticker: str
    series_ticker: str
    title: str
    ordinal: int
    listed_ts: Nanos
    tickers: list[str]
    fee_override: FeeSchedule | None = None


@dataclass(slots=True)
class SeriesState:
    """A series as far as worlds tell. ``fees`` are its first market's until they are changed."""

    ticker: str
    fees: FeeSchedule
    exchange_index: int
    created_ts: Nanos
    fees_changed: bool = False
