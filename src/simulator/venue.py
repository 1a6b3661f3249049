"""The exchange's shared state: clock, markets, accounts, counters, timers and the outputs so far."""

from __future__ import annotations

import hashlib
import heapq
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from src.core.market import MarketStatus
from src.core.sides import BookSide
from src.core.units import DAY, Count, Nanos
from src.simulator import refusals
from src.simulator.account import Account
from src.simulator.outputs import BookChange, LifecycleChange, LifecycleStep, Output
from src.simulator.pauses import WeeklyPause
from src.simulator.states import EventState, MarketState, SeriesState

_NAMESPACE = uuid.UUID("0f3f7f1e-5b5c-5d8a-8f0d-5a1f3c1b7a11")
# The version and variant bits of a UUID: which are free, and how version 5 sets them.
_UUID_MASK = ~(0xF000 << 64 | 0xC000 << 48)
_UUID5 = 5 << 76 | 0x8000 << 48
BEFORE_CLOSE = frozenset({MarketStatus.INITIALIZED, MarketStatus.ACTIVE, MarketStatus.INACTIVE})


@dataclass(frozen=True, slots=True)
class VenueRules:
    """Where Kalshi's behaviour is not documented or a use of the exchange differs.

    ``balance_deducts_resting``: whether the reported balance is free of resting orders' collateral.
    ``quotes_fill_at_touch``: whether a crowd quote at exactly an account order's price trades with it;
    False (paper trading) wants the quote strictly through it.
    ``queue_share``: share of cancellations at an account order's price that stood before it, for a crowd
    that is a recording (``queue_model.py``); None: prints reach an order only strictly through its price.
    ``weekly_pause``: whether trading pauses on Thursdays from 03:00 to 05:00 in New York.
    ``cash_per_shard``: whether cash on one shard cannot back an order on another, as at Kalshi; False
    keeps one purse for all (paper trading).
    ``shard_of_series``: the shard (``exchange_index``) of a series; others are where their world says.
    ``cancel_all_trails``: whether cancel-all also takes what comes to rest in the minute after it.
    ``read_lag``: how long the portfolio's REST views stay behind (world time; it shows in
    ``user_data_timestamp``).
    ``live_window``: how long settled markets, trades, fills and orders stay on the live endpoints before
    they are to be had only from the historical ones.
    """

    balance_deducts_resting: bool = False
    quotes_fill_at_touch: bool = True
    queue_share: float | None = None
    weekly_pause: bool = True
    cash_per_shard: bool = True
    shard_of_series: Mapping[str, int] = field(default_factory=dict)
    cancel_all_trails: bool = False
    read_lag: Nanos = 0
    live_window: Nanos = 90 * DAY


class Venue:
    """Everything the parts of the exchange share. ``now`` never goes back."""

    def __init__(self, seed: int, now: Nanos, rules: VenueRules) -> None:
        self.seed = seed
        self.now = now
        self.rules = rules
        self.exchange_active = True
        self.trading_active = True
        self.pause = WeeklyPause(enabled=rules.weekly_pause)
        self.markets: dict[str, MarketState] = {}
        self.events: dict[str, EventState] = {}
        self.series: dict[str, SeriesState] = {}
        self.accounts: dict[str, Account] = {}
        # The crowd is one account without limits, so that every contract has two known sides.
        self.crowd = Account("", self.make_id("crowd"), {}, one_purse=True)
        self.outputs: list[Output] = []
        self.order_count = 0
        self.trade_count = 0
        self.match_count = 0
        self.group_count = 0
        self._timers: list[tuple[Nanos, int, Callable[[], None]]] = []
        self._timer_count = 0

    def make_id(self, name: str) -> str:
        """A UUID that depends on the seed and the name only."""
        # uuid5 without the objects in between: ids are made for every order and trade.
        digest = hashlib.sha1(_NAMESPACE.bytes + f"{self.seed}|{name}".encode(), usedforsecurity=False)
        digits = f"{int.from_bytes(digest.digest()[:16]) & _UUID_MASK | _UUID5:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def emit(self, output: Output) -> None:
        """Tell the listeners at the end of the operation."""
        self.outputs.append(output)

    def account(self, key_id: str) -> Account:
        """An account by key id. Raises ``KeyError`` for an unknown one."""
        return self.accounts[key_id]

    @property
    def is_trading_open(self) -> bool:
        """Whether orders are accepted: no pause of the exchange, of trading, or by the week's schedule."""
        return self.exchange_active and self.trading_active and not self.pause.is_on(self.now)

    def market(self, ticker: str) -> MarketState:
        """A market; refuses with ``not_found`` when it is not listed."""
        state = self.markets.get(ticker)
        if state is None:
            raise refusals.not_found()
        return state

    def change_market(self, state: MarketState, **changes: object) -> None:
        """Replace fields of a market's description."""
        state.market = state.market.changed(**changes)
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
        state.candles.quote(self.now, state.book.best(BookSide.BID), state.book.best(BookSide.ASK))

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
