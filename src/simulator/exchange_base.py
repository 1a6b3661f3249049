"""What the exchange's parts share towards the outside: reading, accounts, listeners."""

from __future__ import annotations

from collections.abc import Mapping

from src.core.units import Cash, Count, Nanos
from src.simulator.account import Account
from src.simulator.matching import MarketBook
from src.simulator.outputs import Listener
from src.simulator.states import EventState, MarketState, SeriesState
from src.simulator.venue import Venue, VenueRules


class ExchangeBase:
    """The state of an exchange (``venue``, to be changed within ``operation`` only)."""

    def __init__(self, seed: int, start: Nanos, rules: VenueRules) -> None:
        self.venue = Venue(seed, start, rules)
        self.listeners: list[Listener] = []
        self._operation = _Operation(self)

    # --- reading ---------------------------------------------------------------------------------

    @property
    def now(self) -> Nanos:
        """The world's time as far as the exchange has come."""
        return self.venue.now

    @property
    def rules(self) -> VenueRules:
        """The rules it was made with."""
        return self.venue.rules

    @property
    def is_exchange_active(self) -> bool:
        """Whether anything at all is accepted."""
        return self.venue.exchange_active

    @property
    def is_trading_active(self) -> bool:
        """Whether orders are accepted."""
        return self.venue.is_trading_open

    @property
    def markets(self) -> Mapping[str, MarketState]:
        """Every market ever listed, in order of listing."""
        return self.venue.markets

    @property
    def events(self) -> Mapping[str, EventState]:
        """Every event ever listed."""
        return self.venue.events

    @property
    def series(self) -> Mapping[str, SeriesState]:
        """Every series of which an event was listed."""
        return self.venue.series

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Accounts by key id."""
        return self.venue.accounts

    @property
    def crowd(self) -> Account:
        """The crowd's side of every trade with an account (fee free, without limits)."""
        return self.venue.crowd

    def account(self, key_id: str) -> Account:
        """An account: its orders, fills, positions, settlements and cash. Raises ``KeyError``."""
        return self.venue.account(key_id)

    def book(self, ticker: str) -> MarketBook:
        """A market's book. Raises ``OrderRefused`` (not_found)."""
        return self.venue.market(ticker).book

    def open_interest(self, ticker: str) -> Count:
        """Contracts held, the crowd counted as one holder."""
        return self.venue.open_interest(ticker)

    def resumes_at(self) -> Nanos | None:
        """When the weekly pause ends that is on now, or None."""
        pause, now = self.venue.pause, self.venue.now
        return pause.window(now)[1] if pause.is_on(now) else None

    @property
    def shards(self) -> list[int]:
        """Indexes of the shards there are; 0 always is."""
        listed = {series.exchange_index for series in self.venue.series.values()}
        return sorted({0, *listed, *self.rules.shard_of_series.values()})

    def next_timer(self) -> Nanos | None:
        """When the clock alone next changes something (opening, closing, expiry, payment)."""
        return self.venue.next_timer()

    # --- accounts and listeners ------------------------------------------------------------------

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` with the outputs of every operation that has any."""
        self.listeners.append(listener)

    def add_account(self, key_id: str, cash: Cash) -> Account:
        """Open an account with ``cash`` on shard 0. The key id must be new and not empty."""
        if not key_id or key_id in self.venue.accounts:
            raise ValueError(f"key id {key_id!r} is empty or taken")
        user_id = self.venue.make_id(f"user|{key_id}")
        account = Account(key_id, user_id, {0: cash}, one_purse=not self.rules.cash_per_shard)
        account.updated_ts = self.venue.now
        self.venue.accounts[key_id] = account
        return account

    def operation(self) -> _Operation:
        """What is done within is one operation: listeners are told at its end."""
        return self._operation


class _Operation:
    """The end of an operation. Not a generator: a backtest enters it a million times."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: ExchangeBase) -> None:
        self._exchange = exchange

    def __enter__(self) -> None:
        """Nothing to begin."""

    def __exit__(self, *_: object) -> None:
        """Tell the listeners, also of what was done before an error."""
        venue = self._exchange.venue
        outputs = venue.outputs
        if outputs:
            venue.outputs = []
            for listener in self._exchange.listeners:
                listener(outputs)
